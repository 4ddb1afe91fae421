//! Reading a call's arguments: text or object, blank or missing, and never a word of it in an error.

use serde_json::{Map, Value};
use valetkey_core::{AccountName, Error, ErrorKind, Result};

use crate::ToolDefinition;

/// The longest JSON text taken in one argument.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// The arguments of one call.
#[derive(Default)]
pub(crate) struct ToolArguments(Map<String, Value>);

impl ToolArguments {
    /// Takes the input of a call of the tool `definition`; `null` means no arguments.
    ///
    /// An argument that the tool does not define is an error, unless its schema allows others: it may be a limit in
    /// another spelling, and the call would do more than the caller meant.
    pub(crate) fn parse(definition: &ToolDefinition, input: Value) -> Result<Self> {
        let arguments = match input {
            Value::Object(fields) => Self(fields),
            Value::Null => Self::default(),
            _ => return Err(not_an_object("arguments")),
        };
        arguments.check_names(definition)?;
        Ok(arguments)
    }

    /// The arguments of a call that is forwarded to another tool.
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

    /// Text that limits what may be done, taken out. It may be left out; `null` and blank are errors, since the call would
    /// do more than the caller meant.
    pub(crate) fn take_non_blank(&mut self, field: &'static str) -> Result<Option<String>> {
        let Some(given) = self.take_non_null(field)? else { return Ok(None) };
        match text(field, Some(&given))? {
            Some(limit) => Ok(Some(limit.to_owned())),
            None => {
                Err(Error::invalid(field, "must not be blank").with_next_step("give it, or leave it out"))
            }
        }
    }

    /// A value that limits what may be done, taken out. It may be left out; `null` is an error.
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

    /// A JSON object, given as such or as text.
    pub(crate) fn take_object(&mut self, field: &'static str) -> Result<Map<String, Value>> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Err(missing_field(field)),
            Some(Value::String(text)) if text.trim().is_empty() => Err(missing_field(field)),
            Some(Value::String(text)) => parse_object(field, &text),
            Some(Value::Object(fields)) => Ok(fields),
            Some(_) => Err(not_an_object(field)),
        }
    }

    /// The account alias, if one was given.
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

/// The alias at `account`, if there is one.
pub(crate) fn account(fields: &Map<String, Value>) -> Result<Option<AccountName>> {
    text("account", fields.get("account"))?.map(|alias| AccountName::parse("account", alias)).transpose()
}

/// Text without the blanks around it; absent, `null` and blank are the same.
pub(crate) fn text<'a>(field: &'static str, value: Option<&'a Value>) -> Result<Option<&'a str>> {
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

/// Where the JSON breaks, without the text around it.
fn invalid_json(field: &'static str, error: &serde_json::Error) -> Error {
    let message = format!("invalid JSON in `{field}` at line {} column {}", error.line(), error.column());
    Error::new(ErrorKind::Invalid, message)
        .with_field(field)
        .with_next_step("send one well-formed JSON object")
}
