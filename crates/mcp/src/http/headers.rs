//! The headers that repeat parts of a modern request, so that a proxy can route it without reading the body. A request
//! whose headers and body differ is refused, because the proxy and the gateway would see different requests.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::message::Posted;
use super::response::{HEADER_MISMATCH, RpcError};

const PARAM_PREFIX: &str = "mcp-param-";

/// Checks `Mcp-Method`, `Mcp-Name` and, for a call of a tool with this definition, `Mcp-Param-*`.
pub(super) fn check_routing_headers(
    headers: &HeaderMap,
    posted: &Posted,
    tool: Option<&Value>,
) -> Result<(), RpcError> {
    let Some(method) = posted.method() else { return Ok(()) };
    if header_text(headers, "mcp-method")? != Some(method) {
        return Err(mismatch("the header `Mcp-Method` is missing or differs from the method"));
    }
    if let Some(name) = routed_name(method, posted.params()) {
        let header = header_text(headers, "mcp-name")?.and_then(decode);
        if header.as_deref() != Some(name) {
            return Err(mismatch("the header `Mcp-Name` is missing or differs from the parameters"));
        }
    }
    match tool.and_then(|tool| tool.get("inputSchema")) {
        Some(schema) => {
            check_params(headers, posted.params().and_then(|params| params.get("arguments")), schema)
        }
        None => Ok(()),
    }
}

/// Checks that an `initialize` request, which needs no such header, has none of another method.
pub(super) fn check_initialize_headers(headers: &HeaderMap) -> Result<(), RpcError> {
    match header_text(headers, "mcp-method")? {
        None | Some("initialize") => Ok(()),
        Some(_) => Err(mismatch("the header `Mcp-Method` differs from the method")),
    }
}

fn mismatch(message: &'static str) -> RpcError {
    RpcError::bad_request(HEADER_MISMATCH, message)
}

/// Returns the name that `Mcp-Name` repeats.
fn routed_name<'a>(method: &str, params: Option<&'a Value>) -> Option<&'a str> {
    let key = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    params?.get(key)?.as_str()
}

/// Checks the headers of the arguments that the schema annotates with `x-mcp-header`.
fn check_params(headers: &HeaderMap, arguments: Option<&Value>, schema: &Value) -> Result<(), RpcError> {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let argument = arguments.and_then(|arguments| arguments.get(name)).filter(|value| !value.is_null());
        if let Some(header) = property.get("x-mcp-header").and_then(Value::as_str)
            && !header.is_empty()
        {
            let header = header_text(headers, &format!("{PARAM_PREFIX}{}", header.to_ascii_lowercase()))?;
            if header.and_then(decode) != argument.and_then(primitive_text) {
                return Err(mismatch("a header `Mcp-Param-*` is missing or differs from its argument"));
            }
        }
        check_params(headers, argument, property)?;
    }
    Ok(())
}

fn primitive_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Returns the text of a header, which may occur once.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, RpcError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text)),
        _ => Err(mismatch("a header that repeats a part of the request is malformed or occurs twice")),
    }
}

/// Decodes a value that may be wrapped in `=?base64?…?=`.
fn decode(text: &str) -> Option<String> {
    match text.strip_prefix("=?base64?").and_then(|text| text.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

/// Whether the client accepts this media type.
pub(super) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let family = media_type.split('/').next().unwrap_or_default();
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_excluded = parts.any(|part| {
            part.strip_prefix("q=").is_some_and(|quality| quality.parse::<f32>().is_ok_and(|q| q == 0.0))
        });
        let matches = name.eq_ignore_ascii_case(media_type)
            || name == "*/*"
            || name.strip_suffix("/*").is_some_and(|name| name.eq_ignore_ascii_case(family));
        matches && !is_excluded
    })
}

/// Whether the body is declared to be JSON.
pub(super) fn has_json_content(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn call(arguments: Value) -> Posted {
        let params = json!({"name": "a tool", "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        Posted::parse(message.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn routing_headers_equal_to_body_are_accepted() {
        let tool = json!({"inputSchema": {"properties": {
            "city": {"type": "string", "x-mcp-header": "City"},
            "nested": {"properties": {"days": {"type": "integer", "x-mcp-header": "Days"}}},
        }}});
        let posted = call(json!({"city": "Köln", "nested": {"days": 3}}));
        for name in ["a tool", "=?base64?YSB0b29s?="] {
            let headers = headers(&[
                ("mcp-method", "tools/call"),
                ("mcp-name", name),
                ("mcp-param-city", "=?base64?S8O2bG4=?="),
                ("mcp-param-days", "3"),
            ]);
            check_routing_headers(&headers, &posted, Some(&tool)).unwrap();
        }
    }

    #[test]
    fn routing_headers_that_differ_are_refused() {
        let tool = json!({"inputSchema": {"properties": {"city": {"x-mcp-header": "City"}}}});
        let (with, without) = (call(json!({"city": "Köln"})), call(json!({"city": null})));
        let (method, name, city) =
            (("mcp-method", "tools/call"), ("mcp-name", "a tool"), ("mcp-param-city", "Bonn"));
        for (posted, pairs) in [
            (&without, &[name][..]),
            (&without, &[method]),
            (&without, &[("mcp-method", "tools/list"), name]),
            (&without, &[("mcp-method", "Tools/call"), name]),
            (&without, &[method, ("mcp-name", "another")]),
            (&without, &[method, name, name]),
            (&without, &[method, method, name]),
            (&without, &[method, name, city]),
            (&with, &[method, name]),
            (&with, &[method, name, city]),
            (&with, &[method, name, ("mcp-param-city", "=?base64?%%?=")]),
        ] {
            let mut sent = HeaderMap::new();
            for (name, value) in pairs {
                sent.append(*name, value.parse().unwrap());
            }
            let error = check_routing_headers(&sent, posted, Some(&tool)).unwrap_err();
            assert_eq!(error.code, HEADER_MISMATCH, "{pairs:?}");
        }
    }

    #[test]
    fn accepts_follows_media_ranges() {
        for (accept, accepted) in [
            ("application/json, text/event-stream", true),
            ("*/*", true),
            ("APPLICATION/*;q=0.5", true),
            ("text/event-stream", false),
            ("application/json;q=0", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            assert_eq!(accepts(&headers(&[("accept", accept)]), "application/json"), accepted, "{accept}");
        }
        assert!(!accepts(&HeaderMap::new(), "application/json"));
    }
}
