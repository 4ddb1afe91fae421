//! `ToolOutput`: the result of a tool call that a model receives.
//!
//! Clients differ in what they show to a model: some only the text, others only the structured content. So both have
//! the same content.

use std::fmt;

use serde_json::{Value, json};
use valetkey_core::{Error, ErrorKind, Result};

/// The result of a tool call: text for every client, and the same content as JSON.
///
/// `Debug` shows only the length of the text, because the host may have opted in to secrets.
///
/// # Examples
/// ```
/// use valetkey_core::{Error, ErrorKind};
/// use valetkey_tools::ToolOutput;
///
/// let done = ToolOutput::json(serde_json::json!({"objects": 3}));
/// assert_eq!(done.text, r#"{"objects":3}"#);
///
/// let error = Error::new(ErrorKind::Invalid, "the bucket name is empty").with_field("bucket");
/// let failed = ToolOutput::error(&error);
/// assert_eq!(failed.text, "Error: The bucket name is empty; correct it and call the tool again");
/// assert_eq!(failed.structured.unwrap()["error"]["field"], "bucket");
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolOutput {
    /// The content as text, which every client shows.
    pub text: String,
    /// The same content as JSON.
    pub structured: Option<Value>,
    /// Whether the call failed.
    pub is_error: bool,
}

impl ToolOutput {
    /// Returns a success with text only.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), structured: None, is_error: false }
    }

    /// Returns a success with `value` as structured content and, serialized, as text.
    #[must_use]
    pub fn json(value: Value) -> Self {
        Self { text: value.to_string(), structured: Some(value), is_error: false }
    }

    /// Returns a failure with the text `Error: …` and the structured content `{"error": {"code", "message",
    /// "transient", "next_step"}}`.
    #[must_use]
    pub fn error(error: &Error) -> Self {
        Self {
            text: format!("Error: {}", error_text(error)),
            structured: Some(error_value(error)),
            is_error: true,
        }
    }

    /// Returns a failure with text only. The text goes to a model: it names no secret and repeats no input.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), structured: None, is_error: true }
    }

    /// Returns a failure with the JSON `{"error": {…}}` as text, for tools whose callers look for `error` in the text.
    #[must_use]
    pub fn error_json(error: &Error) -> Self {
        let value = error_value(error);
        Self { text: value.to_string(), structured: Some(value), is_error: true }
    }

    /// Sets the structured content.
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

/// Formats `Message (provider); next step`. For a missing field only the message is used: existing prompts match its
/// exact text, and the text already names the remedy.
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

/// Returns the innermost cause of type `Error`. Causes of other types are skipped, since their text may contain
/// secrets.
fn root_cause(error: &Error) -> Option<&Error> {
    let mut root = None;
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause.and_then(|cause| cause.downcast_ref::<Error>()) {
        root = Some(error);
        cause = std::error::Error::source(error);
    }
    root
}

/// Returns the next step of the error, or the one suggested for its kind.
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
    let mut error_fields = json!({
        "code": error.kind().code(),
        "message": sentence_case(error.message()),
        "transient": error.is_transient(),
        "next_step": next_step_for(error),
    });
    if let Some(field) = error.field() {
        error_fields["field"] = field.into();
    }
    if let Some(cause) = root_cause(error) {
        error_fields["cause"] = cause.message().into();
    }
    json!({ "error": error_fields })
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
