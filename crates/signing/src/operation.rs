//! Finds the operation that a request names.

use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;

use crate::refusal::Refusal;
use crate::routes::{Protocol, Routes, ServiceRoute};
use crate::verification::single;

const TARGET_HEADER: &str = "x-amz-target";

/// Returns the protocol of the request, as far as its headers state one, otherwise the given one.
pub(crate) fn protocol_of(parts: &Parts, otherwise: Protocol) -> Protocol {
    if parts.headers.contains_key("smithy-protocol") {
        Protocol::RpcV2Cbor
    } else if parts.headers.contains_key(TARGET_HEADER) {
        Protocol::Json
    } else if is_form(parts) && otherwise != Protocol::Ec2 {
        Protocol::Query
    } else {
        otherwise
    }
}

/// Returns whether the operation may be in the body, which is then buffered.
pub(crate) fn is_form(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"))
}

/// What a request does, as far as the proxy can see.
#[derive(Debug, Clone)]
pub(crate) struct RequestedOperation<'a> {
    pub(crate) service: &'a ServiceRoute,
    /// The names that the operation may have; none if it is not known.
    pub(crate) names: Vec<String>,
    pub(crate) method: &'a Method,
}

impl<'a> RequestedOperation<'a> {
    /// Finds the operation of a request: from method and path if the service's protocol is REST, otherwise where the
    /// request names it.
    pub(crate) fn find(
        routes: &Routes,
        service: &'a ServiceRoute,
        (parts, path): (&'a Parts, &str),
        form: &[u8],
    ) -> Result<Self, Refusal> {
        let names = if service.is_rest() {
            let names = routes.find_rest_operations(service, parts, path);
            names.into_iter().map(str::to_owned).collect()
        } else {
            vec![operation_of(parts, path, form, service)?]
        };
        Ok(Self { service, names, method: &parts.method })
    }

    /// Returns the name, if there is only one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self.names.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }
}

/// Returns the operation that a request names.
///
/// A request that names its operation in two places is refused: the service might read the other one.
fn operation_of(parts: &Parts, path: &str, form: &[u8], service: &ServiceRoute) -> Result<String, Refusal> {
    if matches!(service.protocol(), Protocol::Query | Protocol::Ec2) && !is_form(parts) && has_body(parts) {
        return Err(Refusal::invalid("the body must be a form, since it may name the operation"));
    }
    let mut names: Vec<String> = actions(parts.uri.query().unwrap_or_default().as_bytes());
    names.extend(actions(form));
    names.extend(parts.headers.get_all(TARGET_HEADER).iter().map(|_| target(parts)));
    names.extend(cbor_operation(path));
    match names.as_slice() {
        [name] if !name.is_empty() => Ok(name.clone()),
        _ => Err(Refusal::invalid("the request does not name exactly one operation")),
    }
}

fn has_body(parts: &Parts) -> bool {
    let length = parts.headers.get(CONTENT_LENGTH);
    parts.method != Method::GET
        || parts.headers.contains_key(TRANSFER_ENCODING)
        || length.is_some_and(|length| length != "0")
}

fn target(parts: &Parts) -> String {
    let target = single(&parts.headers, TARGET_HEADER).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

/// Returns the operation in `/service/<name>/operation/<operation>`.
fn cbor_operation(path: &str) -> Option<String> {
    let path = path.split('?').next()?;
    let (_, operation) = path.strip_prefix("/service/")?.split_once("/operation/")?;
    Some(operation.to_owned())
}

/// Returns the values of the field `Action`. A name or value with an escape is not decoded: it is returned as an empty
/// name, which is refused.
fn actions(form: &[u8]) -> Vec<String> {
    let fields = form.split(|byte| *byte == b'&').map(String::from_utf8_lossy);
    fields
        .filter_map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((&field, ""));
            if name == "Action" {
                let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric());
                return Some(if is_plain { value.to_owned() } else { String::new() });
            }
            // An escaped spelling of the name.
            (name.len() < 24 && name.contains('%') && !name.contains('.')).then(String::new)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Routes;

    fn operation(service: &str, uri: &str, target: Option<&str>, form: &str) -> Result<String, Refusal> {
        let mut request = http::Request::builder().uri(uri);
        if let Some(target) = target {
            request = request.header(TARGET_HEADER, target);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let routes = Routes::new().unwrap();
        let service = routes.services().find(|route| route.name() == service).unwrap();
        operation_of(&parts, uri, form.as_bytes(), service)
    }

    #[test]
    fn operation_of_each_protocol_is_found() {
        let name = |found: Result<String, Refusal>| found.unwrap();
        assert_eq!(name(operation("dynamodb", "/", Some("DynamoDB_20120810.GetItem"), "")), "GetItem");
        assert_eq!(
            name(operation("sts", "/", None, "Action=GetCallerIdentity&Version=1")),
            "GetCallerIdentity"
        );
        assert_eq!(name(operation("sts", "/?Action=AssumeRole", None, "")), "AssumeRole");
        assert_eq!(
            name(operation("cloudwatch", "/service/X/operation/PutMetricData", None, "")),
            "PutMetricData"
        );
    }

    #[test]
    fn operation_of_two_or_none_is_refused() {
        for (uri, target, form) in [
            ("/", None, ""),
            ("/?Action=GetCallerIdentity", None, "Action=AssumeRole"),
            ("/", Some("Sts.GetCallerIdentity"), "Action=AssumeRole"),
            ("/", None, "Action=GetCallerIdentity&Action=AssumeRole"),
            ("/", None, "Action=GetCallerIdentity&%41ction=AssumeRole"),
            ("/", None, "Action=Get%43allerIdentity"),
        ] {
            assert!(operation("sts", uri, target, form).is_err(), "{uri} {form}");
        }
    }
}
