//! Reading a call's arguments: text or object, blank or missing, and never a word of it in an error.

use serde_json::{Map, Value};
use valetkey_core::{Alias, Error, ErrorKind, Result};

/// The longest JSON text taken in one argument.
const LONGEST_TEXT: usize = 1024 * 1024;

/// The arguments of one call.
#[derive(Default)]
pub(crate) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Takes the input of a call; `null` stands for no arguments.
    pub(crate) fn parse(input: Value) -> Result<Self> {
        match input {
            Value::Object(fields) => Ok(Self(fields)),
            Value::Null => Ok(Self(Map::new())),
            _ => Err(must_be_object("arguments")),
        }
    }

    /// Takes any input; what is no object has no arguments.
    pub(crate) fn of_any(input: Value) -> Self {
        Self::parse(input).unwrap_or_default()
    }

    /// Text that limits what may be done, taken out. It may be left out; blank is an error, since more would be done
    /// than was meant.
    pub(crate) fn take_limit(&mut self, field: &'static str) -> Result<Option<String>> {
        let given = self.take(field);
        let limit = text(field, given.as_ref())?.map(str::to_owned);
        if given.is_some() && limit.is_none() {
            return Err(Error::invalid(field, "must not be blank").with_next_step("give it, or leave it out"));
        }
        Ok(limit)
    }

    /// A value that may be left out, taken out; `null` is left out.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field).filter(|value| !value.is_null())
    }

    /// A JSON object, given as such or as text.
    pub(crate) fn object(&mut self, field: &'static str) -> Result<Map<String, Value>> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Err(missing(field)),
            Some(Value::String(text)) if text.trim().is_empty() => Err(missing(field)),
            Some(Value::String(text)) => parse_object(field, &text),
            Some(Value::Object(fields)) => Ok(fields),
            Some(_) => Err(must_be_object(field)),
        }
    }

    /// The account alias, if one was given.
    pub(crate) fn account(&self) -> Result<Option<Alias>> {
        account(&self.0)
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    pub(crate) fn into_fields(self) -> Map<String, Value> {
        self.0
    }
}

/// The alias at `account`, if there is one.
pub(crate) fn account(fields: &Map<String, Value>) -> Result<Option<Alias>> {
    text("account", fields.get("account"))?.map(|alias| Alias::parse("account", alias)).transpose()
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

pub(crate) fn missing(field: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, format!("missing required field '{field}'"))
        .with_field(field)
        .with_next_step("add it and call the tool again")
}

pub(crate) fn must_be_object(field: &'static str) -> Error {
    Error::invalid(field, "must be a JSON object")
        .with_next_step("send an object, or an object written as JSON text")
}

fn parse_object(field: &'static str, text: &str) -> Result<Map<String, Value>> {
    if text.len() > LONGEST_TEXT {
        return Err(
            Error::invalid(field, "must be at most 1 MiB long").with_next_step("send only the object itself")
        );
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(must_be_object(field)),
        Err(error) => Err(broken(field, &error)),
    }
}

/// Where the JSON breaks, without the text around it.
fn broken(field: &'static str, error: &serde_json::Error) -> Error {
    let rule = format!("is not valid JSON at line {} column {}", error.line(), error.column());
    Error::invalid(field, rule).with_next_step("send one well-formed JSON object")
}
