//! `ToolOutput`: what a model is told after a call.

use std::fmt;

use serde_json::{Value, json};
use valetkey_core::{Error, ErrorKind, Result};

/// What a model is told after a call: text for every client, and the same as structured content.
///
/// `Debug` shows the length of the text only, since a host may have opted in to secrets.
#[derive(Clone, PartialEq)]
pub struct ToolOutput {
    /// For every client.
    pub text: String,
    /// The same, for clients that read JSON.
    pub structured: Option<Value>,
    /// Whether the call failed.
    pub is_error: bool,
}

impl ToolOutput {
    /// A success told in words.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), structured: None, is_error: false }
    }

    /// A success whose text is its JSON.
    #[must_use]
    pub fn json(value: Value) -> Self {
        Self { text: value.to_string(), structured: Some(value), is_error: false }
    }

    /// A failure: `Error: …` in words, and `{"error": {"code", "message", "transient", "next_step"}}`.
    #[must_use]
    pub fn error(error: &Error) -> Self {
        Self {
            text: format!("Error: {}", error_text(error)),
            structured: Some(error_value(error)),
            is_error: true,
        }
    }

    /// A failure whose text is its JSON, `{"error": {…}}`, for tools whose callers look for `error` in the text.
    #[must_use]
    pub fn error_json(error: &Error) -> Self {
        let value = error_value(error);
        Self { text: value.to_string(), structured: Some(value), is_error: true }
    }

    /// The same, with structured content.
    #[must_use]
    pub fn with_structured(mut self, value: Value) -> Self {
        self.structured = Some(value);
        self
    }
}

impl From<Result<Self>> for ToolOutput {
    fn from(result: Result<Self>) -> Self {
        result.unwrap_or_else(|error| Self::error(&error))
    }
}

/// `Message (provider); next step`. Prompts in the field know the text of a missing field to the letter, and it is its
/// own remedy.
fn error_text(error: &Error) -> String {
    let mut words = sentence_case(error.message());
    if let Some(provider) = error.provider() {
        words.push_str(&format!(" ({provider})"));
    }
    if let Some(cause) = root_cause(error) {
        words.push_str(&format!(": {}", cause.message()));
    }
    match next_step_for(error) {
        Some(step) if !words.starts_with("Missing required field") => format!("{words}; {step}"),
        _ => words,
    }
}

/// The first cause that is an error of ours: those of others may hold anything.
fn root_cause(error: &Error) -> Option<&Error> {
    let mut root = None;
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause.and_then(|cause| cause.downcast_ref::<Error>()) {
        root = Some(error);
        cause = std::error::Error::source(error);
    }
    root
}

/// What to do next: what the error says, else what its kind suggests to a model.
fn next_step_for(error: &Error) -> Option<&str> {
    error.next_step().or(match error.kind() {
        ErrorKind::Invalid => Some("correct it and call the tool again"),
        ErrorKind::Denied => Some("ask the owner of this session for access"),
        ErrorKind::InteractionRequired => {
            Some("ask the owner of this session to act, then refresh the account")
        }
        kind if kind.is_transient() => Some("call the tool again in a few seconds"),
        _ => None,
    })
}

fn error_value(error: &Error) -> Value {
    let mut fault = json!({
        "code": error.kind().code(),
        "message": sentence_case(error.message()),
        "transient": error.is_transient(),
        "next_step": next_step_for(error),
    });
    if let Some(field) = error.field() {
        fault["field"] = field.into();
    }
    if let Some(cause) = root_cause(error) {
        fault["cause"] = cause.message().into();
    }
    json!({ "error": fault })
}

fn sentence_case(phrase: &str) -> String {
    let mut letters = phrase.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl fmt::Debug for ToolOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolOutput")
            .field("is_error", &self.is_error)
            .field("text_len", &self.text.len())
            .finish_non_exhaustive()
    }
}
