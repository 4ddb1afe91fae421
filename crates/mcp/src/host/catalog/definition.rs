//! Checks the definitions that servers list. A definition that violates the protocol makes clients reject the whole
//! list.

use serde_json::{Map, Value, json};

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
}
