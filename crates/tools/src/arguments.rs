//! `ToolArguments`: parses the arguments of a call. Errors never repeat an argument's value.
//!
//! A model may misspell an argument, pass `null` for one it does not need, or pass JSON as text. An argument that
//! limits a call is never ignored: where its meaning is unclear, the call fails and nothing is done.

use serde_json::{Map, Value};
use valetkey_core::{AccountName, Error, ErrorKind, Result};

use crate::ToolDefinition;

/// The maximum length of a JSON text in one argument.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// The arguments of one call.
#[derive(Default)]
pub(crate) struct ToolArguments(Map<String, Value>);

impl ToolArguments {
    /// Parses the input of a call of the tool `definition`; `null` means no arguments.
    ///
    /// An argument that the tool does not define is an error, unless its schema allows additional ones: it may be a
    /// misspelt limit, and without it the call would do more than the caller intended.
    pub(crate) fn parse(definition: &ToolDefinition, input: Value) -> Result<Self> {
        let arguments = match input {
            Value::Object(fields) => Self(fields),
            Value::Null => Self::default(),
            _ => return Err(not_an_object("arguments")),
        };
        arguments.check_names(definition)?;
        Ok(arguments)
    }

    /// Wraps the arguments of a call that is forwarded to another tool.
    pub(crate) fn forwarded(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    fn check_names(&self, definition: &ToolDefinition) -> Result<()> {
        let schema = &definition.input_schema;
        if schema["additionalProperties"] != Value::Bool(false) {
            return Ok(());
        }
        let known = schema["properties"].as_object();
        let is_known = |name: &String| known.is_some_and(|known| known.contains_key(name));
        if self.0.keys().all(is_known) {
            return Ok(());
        }
        let names: Vec<_> = known.into_iter().flat_map(Map::keys).map(|name| format!("`{name}`")).collect();
        Err(Error::invalid("arguments", "hold a name that this tool does not know; nothing was done")
            .with_next_step(format!("use only {}", names.join(", "))))
    }

    /// Removes and returns a text that limits the call. The field may be absent; `null` and blank text are errors,
    /// because without the limit the call would do more than the caller intended.
    pub(crate) fn take_non_blank(&mut self, field: &'static str) -> Result<Option<String>> {
        let Some(given) = self.take_non_null(field)? else { return Ok(None) };
        match parse_text(field, Some(&given))? {
            Some(limit) => Ok(Some(limit.to_owned())),
            None => {
                Err(Error::invalid(field, "must not be blank").with_next_step("give it, or leave it out"))
            }
        }
    }

    /// Removes and returns a value that limits the call. The field may be absent; `null` is an error.
    pub(crate) fn take_non_null(&mut self, field: &'static str) -> Result<Option<Value>> {
        match self.0.remove(field) {
            Some(Value::Null) => {
                Err(Error::invalid(field, "must not be null").with_next_step("give it, or leave it out"))
            }
            given => Ok(given),
        }
    }

    /// Fails if an argument has the name `field` in another spelling, such as camel case.
    pub(crate) fn reject_misspelled(&self, field: &'static str) -> Result<()> {
        let letters = |name: &str| -> String {
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        let wanted = letters(field);
        if self.0.keys().any(|name| name != field && letters(name) == wanted) {
            return Err(Error::invalid(field, "is misspelt; nothing was done")
                .with_next_step(format!("write `{field}`, or leave it out")));
        }
        Ok(())
    }

    /// Removes and returns a JSON object, which may be given as an object or as JSON text.
    pub(crate) fn take_object(&mut self, field: &'static str) -> Result<Map<String, Value>> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Err(missing_field(field)),
            Some(Value::String(text)) if text.trim().is_empty() => Err(missing_field(field)),
            Some(Value::String(text)) => parse_object(field, &text),
            Some(Value::Object(fields)) => Ok(fields),
            Some(_) => Err(not_an_object(field)),
        }
    }

    /// Returns the account alias, if the call names one.
    pub(crate) fn account(&self) -> Result<Option<AccountName>> {
        account(&self.0)
    }

    pub(crate) fn contains(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    pub(crate) fn into_fields(self) -> Map<String, Value> {
        self.0
    }
}

/// Returns the alias in the field `account`, if present.
pub(crate) fn account(fields: &Map<String, Value>) -> Result<Option<AccountName>> {
    parse_text("account", fields.get("account"))?
        .map(|alias| AccountName::parse("account", alias))
        .transpose()
}

/// Returns the trimmed text of a field; absent, `null` and blank are all `None`.
pub(crate) fn parse_text<'a>(field: &'static str, value: Option<&'a Value>) -> Result<Option<&'a str>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => {
            Err(Error::invalid(field, "must be a string").with_next_step("put the value in double quotes"))
        }
    }
}

pub(crate) fn missing_field(field: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, format!("missing required field '{field}'"))
        .with_field(field)
        .with_next_step("add it and call the tool again")
}

pub(crate) fn not_an_object(field: &'static str) -> Error {
    Error::invalid(field, "must be a JSON object")
        .with_next_step("send an object, or an object written as JSON text")
}

fn parse_object(field: &'static str, text: &str) -> Result<Map<String, Value>> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(
            Error::invalid(field, "must be at most 1 MiB long").with_next_step("send only the object itself")
        );
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(not_an_object(field)),
        Err(error) => Err(invalid_json(field, &error)),
    }
}

/// Reports the position of a JSON syntax error without the surrounding text.
fn invalid_json(field: &'static str, error: &serde_json::Error) -> Error {
    let message = format!("invalid JSON in `{field}` at line {} column {}", error.line(), error.column());
    Error::new(ErrorKind::Invalid, message)
        .with_field(field)
        .with_next_step("send one well-formed JSON object")
}
