//! One item of a list: `normalize_item` checks its definition, and `NamePrefixes` gives it a unique name.
//!
//! A definition that violates the protocol makes clients reject the whole list.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::connection::ListKind;

/// The maximum length of the name of a tool or prompt, in characters.
const MAX_NAME_LEN: usize = 256;

/// The maximum length of a URI, in bytes.
const MAX_URI_LEN: usize = 8 * 1024;

/// Returns the item's own name or URI and a definition that every client accepts.
///
/// Unambiguous errors are corrected: a missing or `null` input schema takes no arguments, a schema without `type`
/// describes an object, a resource without a name is named by its URI, and optional fields that are `null` or of a wrong
/// type are removed. All other fields stay unchanged.
///
/// # Errors
/// The field that cannot be corrected. The caller leaves the item out.
pub(super) fn normalize_item(kind: ListKind, definition: Value) -> Result<(String, Value), &'static str> {
    let Value::Object(mut fields) = definition else { return Err("is not an object") };
    let id = match kind {
        ListKind::Tools => normalize_tool(&mut fields)?,
        ListKind::Prompts => normalize_prompt(&mut fields)?,
        ListKind::Resources | ListKind::ResourceTemplates => normalize_resource(kind, &mut fields)?,
    };
    remove_invalid_optional_fields(&mut fields);
    Ok((id, Value::Object(fields)))
}

fn item_name(fields: &Map<String, Value>) -> Result<String, &'static str> {
    let name = fields.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or("has no `name`")?;
    if name.chars().count() > MAX_NAME_LEN {
        return Err("has a `name` of more than 256 characters");
    }
    Ok(name.to_owned())
}

fn normalize_tool(fields: &mut Map<String, Value>) -> Result<String, &'static str> {
    let name = item_name(fields)?;
    let input = fields.remove("inputSchema").filter(|schema| !schema.is_null());
    let input = normalize_object_schema(input.unwrap_or_else(|| json!({})));
    fields.insert("inputSchema".to_owned(), input.ok_or("has an `inputSchema` that describes no object")?);
    if let Some(output) = fields.remove("outputSchema").and_then(normalize_object_schema) {
        fields.insert("outputSchema".to_owned(), output);
    }
    remove_unless(fields, "execution", Value::is_object);
    if let Some(Value::Object(annotations)) = fields.get_mut("annotations") {
        remove_unless(annotations, "title", Value::is_string);
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            remove_unless(annotations, hint, Value::is_boolean);
        }
    }
    Ok(name)
}

fn normalize_prompt(fields: &mut Map<String, Value>) -> Result<String, &'static str> {
    let name = item_name(fields)?;
    remove_unless(fields, "arguments", |arguments| !arguments.is_null());
    match fields.get_mut("arguments") {
        None => {}
        Some(Value::Array(arguments)) => {
            for argument in arguments {
                let argument = argument.as_object_mut().ok_or("has an argument that is not an object")?;
                if !argument.get("name").is_some_and(Value::is_string) {
                    return Err("has an argument without a `name`");
                }
                remove_unless(argument, "required", Value::is_boolean);
                for field in ["title", "description"] {
                    remove_unless(argument, field, Value::is_string);
                }
            }
        }
        Some(_) => return Err("has `arguments` that are not a list"),
    }
    Ok(name)
}

/// Normalizes a resource or a resource template.
fn normalize_resource(kind: ListKind, fields: &mut Map<String, Value>) -> Result<String, &'static str> {
    let uri = fields.get(kind.id_field()).and_then(Value::as_str).filter(|uri| !uri.is_empty());
    let uri = uri.ok_or("has no URI")?.to_owned();
    if uri.len() > MAX_URI_LEN {
        return Err("has a URI of more than 8,192 bytes");
    }
    if !fields.get("name").is_some_and(Value::is_string) {
        fields.insert("name".to_owned(), Value::from(uri.as_str()));
    }
    remove_unless(fields, "mimeType", Value::is_string);
    remove_unless(fields, "size", Value::is_number);
    Ok(uri)
}

/// Normalizes the schema of an object; returns `None` for any other schema.
fn normalize_object_schema(schema: Value) -> Option<Value> {
    let Value::Object(mut fields) = schema else { return None };
    match fields.get("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind == "object" => {}
        Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == "object") => {}
        Some(_) => return None,
    }
    fields.insert("type".to_owned(), json!("object"));
    for field in ["required", "properties"] {
        remove_unless(&mut fields, field, |value| !value.is_null());
    }
    let is_text_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    if !fields.get("required").is_none_or(is_text_list) {
        return None;
    }
    match fields.get_mut("properties") {
        None => {}
        Some(Value::Object(properties)) => normalize_properties(properties)?,
        Some(_) => return None,
    }
    Some(Value::Object(fields))
}

/// Replaces boolean and `null` schemas with equivalent objects, which clients require: `true` and `null` allow any
/// value. Returns `None` if a property is not a schema.
fn normalize_properties(properties: &mut Map<String, Value>) -> Option<()> {
    for property in properties.values_mut() {
        match property {
            Value::Object(_) => {}
            Value::Bool(true) | Value::Null => *property = json!({}),
            Value::Bool(false) => *property = json!({"not": {}}),
            _ => return None,
        }
    }
    Some(())
}

/// Removes optional fields of a wrong type.
fn remove_invalid_optional_fields(fields: &mut Map<String, Value>) {
    for field in ["title", "description"] {
        remove_unless(fields, field, Value::is_string);
    }
    for field in ["annotations", "_meta"] {
        remove_unless(fields, field, Value::is_object);
    }
    remove_unless(fields, "icons", |icons| icons.as_array().is_some_and(|icons| icons.iter().all(is_icon)));
}

fn is_icon(icon: &Value) -> bool {
    icon.get("src").is_some_and(Value::is_string)
}

/// Removes a field unless it `is_valid`, and keeps the order of the other fields.
fn remove_unless(fields: &mut Map<String, Value>, field: &str, is_valid: impl Fn(&Value) -> bool) {
    if fields.get(field).is_some_and(|value| !is_valid(value)) {
        fields.shift_remove(field);
    }
}

/// Clients allow 64 characters, including a prefix that they add: `mcp__` and the name under which they registered the
/// gateway.
const MAX_PREFIXED_NAME_LEN: usize = 64 - "mcp__valetkey__".len();
const HASH_LEN: usize = 8;
/// The minimum length that is kept of a server's name when the tool name is long.
const MIN_SERVER_LEN: usize = 8;

/// How the tools and prompts of a server are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameStyle {
    /// `server__name`.
    Prefixed,
    /// As the server names them.
    Unchanged,
}

/// The name prefix of each server, or `None` for a server whose names are listed unchanged. It depends on the
/// configuration alone, so a name never changes its meaning to another server's tool.
#[derive(Debug, Default)]
pub(crate) struct NamePrefixes(BTreeMap<String, Option<String>>);

impl NamePrefixes {
    /// Adds a hash to the prefixes of servers whose names differ only in characters that no client accepts.
    pub(crate) fn new<'a>(servers: impl Iterator<Item = (&'a str, NameStyle)> + Clone) -> Self {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for (server, _) in servers.clone() {
            *count.entry(sanitize(server)).or_default() += 1;
        }
        let prefix = |server: &str| {
            let sanitized = sanitize(server);
            if count.get(&sanitized) == Some(&1) {
                sanitized
            } else {
                format!("{sanitized}_{}", short_hash(&[server]))
            }
        };
        let style = |(server, style): (&str, NameStyle)| {
            let prefix = match style {
                NameStyle::Prefixed => Some(prefix(server)),
                NameStyle::Unchanged => None,
            };
            (server.to_owned(), prefix)
        };
        Self(servers.map(style).collect())
    }

    /// Returns the name under which `tool` of `server` is listed. A name that is too long with its prefix is truncated
    /// and ends with a stable hash.
    pub(crate) fn name(&self, server: &str, tool: &str) -> String {
        let prefix = match self.0.get(server) {
            Some(Some(prefix)) => prefix.clone(),
            Some(None) => return tool.to_owned(),
            None => sanitize(server),
        };
        let name = format!("{prefix}__{}", sanitize(tool));
        if name.len() <= MAX_PREFIXED_NAME_LEN { name } else { hashed_name(server, tool) }
    }

    /// Whether `name` begins with the prefix of `server`, truncated or not. A server without a prefix may own any name.
    pub(crate) fn may_own(&self, server: &str, name: &str) -> bool {
        let prefix = match self.0.get(server) {
            Some(Some(prefix)) => prefix,
            Some(None) => return true,
            None => return false,
        };
        let common = prefix.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let mut ends = (MIN_SERVER_LEN..=common).chain([prefix.len()]);
        ends.any(|end| end <= common && name[end..].starts_with("__"))
    }
}

/// Returns the name of `tool` of `server` with its hash, which is unique to the pair. A long name is truncated.
pub(super) fn hashed_name(server: &str, tool: &str) -> String {
    let available = MAX_PREFIXED_NAME_LEN - "__".len() - "_".len() - HASH_LEN;
    let (mut server_part, mut tool_part) = (sanitize(server), sanitize(tool));
    server_part.truncate(available.saturating_sub(tool_part.len()).max(MIN_SERVER_LEN));
    tool_part.truncate(available - server_part.len());
    format!("{server_part}__{tool_part}_{}", short_hash(&[server, "\0", tool]))
}

fn short_hash(parts: &[&str]) -> String {
    let digest = parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part)).finalize();
    hex::encode(&digest[..HASH_LEN / 2])
}

/// Maps each character to one ASCII character, so that truncation never splits a character.
fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(definition: Value) -> Value {
        normalize_item(ListKind::Tools, definition).unwrap().1
    }

    #[test]
    fn definition_valid_is_unchanged() {
        let valid = json!({
            "name": "list", "title": "T", "description": "d",
            "inputSchema": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "x": [1]},
            "outputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true, "x-hint": 1},
            "icons": [{"src": "data:,"}], "_meta": {"v": 1}, "x-unknown": [1],
        });
        assert_eq!(normalized(valid.clone()), valid);
    }

    #[test]
    fn definition_unambiguous_error_is_normalized() {
        let empty = json!({"name": "t", "inputSchema": {"type": "object"}});
        for definition in [
            json!({"name": "t"}),
            json!({"name": "t", "inputSchema": null}),
            json!({"name": "t", "inputSchema": {}}),
            json!({"name": "t", "inputSchema": {"type": null, "required": null, "properties": null}}),
            json!({"name": "t", "inputSchema": {"type": ["object", "null"]}}),
            json!({"name": "t", "inputSchema": {}, "description": null, "title": 7, "icons": null, "_meta": []}),
            json!({"name": "t", "inputSchema": {}, "outputSchema": {"type": "string"}, "annotations": "no"}),
        ] {
            assert_eq!(normalized(definition.clone()), empty, "{definition}");
        }
        let hints = json!({"name": "t", "annotations": {"readOnlyHint": "yes", "title": null, "idempotentHint": true}});
        assert_eq!(normalized(hints)["annotations"], json!({"idempotentHint": true}));
        let properties =
            json!({"name": "t", "inputSchema": {"properties": {"a": true, "b": null, "c": false}}});
        assert_eq!(
            normalized(properties)["inputSchema"]["properties"],
            json!({"a": {}, "b": {}, "c": {"not": {}}})
        );
    }

    #[test]
    fn definition_ambiguous_error_is_refused() {
        for definition in [
            json!("t"),
            json!({}),
            json!({"name": ""}),
            json!({"name": 7}),
            json!({"name": "n".repeat(257)}),
            json!({"name": "t", "inputSchema": []}),
            json!({"name": "t", "inputSchema": {"type": "string"}}),
            json!({"name": "t", "inputSchema": {"required": "a"}}),
            json!({"name": "t", "inputSchema": {"required": [1]}}),
            json!({"name": "t", "inputSchema": {"properties": []}}),
            json!({"name": "t", "inputSchema": {"properties": {"a": "string"}}}),
        ] {
            assert!(normalize_item(ListKind::Tools, definition.clone()).is_err(), "{definition}");
        }
    }

    #[test]
    fn prompt_and_resource_errors_are_normalized_or_refused() {
        let normalized = |kind, item: Value| normalize_item(kind, item).map(|(_, item)| item);
        let prompt =
            json!({"name": "p", "arguments": [{"name": "a", "required": "yes", "x": 1}], "title": 7});
        let expected = json!({"name": "p", "arguments": [{"name": "a", "x": 1}]});
        assert_eq!(normalized(ListKind::Prompts, prompt), Ok(expected));
        let resource = json!({"uri": "x:y", "mimeType": null, "size": "1", "x": 1});
        let expected = json!({"uri": "x:y", "name": "x:y", "x": 1});
        assert_eq!(normalized(ListKind::Resources, resource), Ok(expected));
        for (kind, item) in [
            (ListKind::Prompts, json!({"name": "p", "arguments": {}})),
            (ListKind::Prompts, json!({"name": "p", "arguments": [{}]})),
            (ListKind::Resources, json!({"name": "r"})),
            (ListKind::ResourceTemplates, json!({"uri": "x:y"})),
        ] {
            assert!(normalized(kind, item.clone()).is_err(), "{item}");
        }
    }

    fn prefixes<const N: usize>(servers: [&str; N]) -> NamePrefixes {
        NamePrefixes::new(servers.into_iter().map(|server| (server, NameStyle::Prefixed)))
    }

    fn prefixed_name(server: &str, tool: &str) -> String {
        prefixes([server]).name(server, tool)
    }

    #[test]
    fn prefixed_name_that_fits_has_no_hash() {
        assert_eq!(prefixed_name("aws-api", "call_aws"), "aws-api__call_aws");
        assert_eq!(prefixed_name("example.notes", "echo"), "example_notes__echo", "a dot costs no hash");
    }

    #[test]
    fn prefixed_name_leaves_room_for_client_prefix() {
        for (server, tool) in [
            ("s".repeat(80), "t".repeat(80)),
            ("サーバー".repeat(20), "t".to_owned()),
            ("s".to_owned(), "ツール".repeat(40)),
        ] {
            let name = prefixed_name(&server, &tool);
            assert!(name.is_ascii() && format!("mcp__valetkey__{name}").len() <= 64, "{name}");
            assert!(name.contains("__"), "{name}");
        }
        let long = prefixed_name("example.cost-explorer-and-budgets-mcp-server.v2", "whoami");
        assert!(long.starts_with("example_cost-explorer-and-b") && long.contains("__whoami_"), "{long}");
    }

    #[test]
    fn prefixed_name_of_servers_sanitized_alike_is_distinct() {
        let names = prefixes(["a b", "a.b", "c"]);
        assert_ne!(names.name("a b", "t"), names.name("a.b", "t"));
        assert_eq!(names.name("c", "t"), "c__t");
        assert_ne!(hashed_name("a", "b__c"), hashed_name("a__b", "c"));
    }

    #[test]
    fn may_own_truncated_name_matches_its_server_only() {
        let server = "example.cost-explorer-and-budgets-mcp-server.v2";
        let names = prefixes([server, "other"]);
        for tool in ["whoami", "t"] {
            let name = names.name(server, tool);
            assert!(names.may_own(server, &name) && !names.may_own("other", &name), "{name}");
        }
    }
}
