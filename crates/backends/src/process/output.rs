//! The output of a program: a JSON document of `credential_process`, version 1. Errors contain no part of it.

use serde_json::{Map, Value};
use valetkey_core::{
    AccessKeyId, AccountId, Credentials, CredentialsBuilder, Error, ErrorKind, Expiry, Result, SecretString,
};

pub(super) const EXPECTED_OUTPUT: &str =
    "have the program print one JSON object with `Version`, `AccessKeyId` and `SecretAccessKey`";

/// Reads `Version` (1), `AccessKeyId`, `SecretAccessKey`, and optionally `SessionToken`, `Expiration` and `AccountId`.
/// Blank and `null` values count as missing; other fields are ignored. The last two have the formats of
/// [`Expiry::from_json`] and [`AccountId::from_json`].
pub(super) fn parse_output(text: &str) -> Result<CredentialsBuilder> {
    let text = text.trim_start_matches('\u{feff}');
    let document: Value = serde_json::from_str(text).map_err(|error| not_json(text, &error))?;
    let fields = document.as_object().ok_or_else(not_an_object)?;
    if fields.get("Version").and_then(Value::as_f64) != Some(1.0) {
        return Err(unsupported_version());
    }
    let id =
        AccessKeyId::parse("AccessKeyId", required_text(fields, "AccessKeyId")?).map_err(malformed_field)?;
    let secret = SecretString::from(required_text(fields, "SecretAccessKey")?);
    let expiry =
        non_blank_value(fields, "Expiration").map(|at| Expiry::from_json("Expiration", at)).transpose()?;
    let account =
        non_blank_value(fields, "AccountId").map(|id| AccountId::from_json("AccountId", id)).transpose();
    Ok(Credentials::builder(id, secret)
        .session_token(optional_text(fields, "SessionToken")?.map(SecretString::from))
        .expiry(expiry.unwrap_or(Expiry::Never))
        .account_id(account.map_err(malformed_field)?))
}

fn required_text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<&'a str> {
    optional_text(fields, name)?.ok_or_else(|| missing_field(name))
}

fn optional_text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>> {
    non_blank_value(fields, name)
        .map(|value| value.as_str().map(str::trim).ok_or_else(|| not_a_string(name)))
        .transpose()
}

fn non_blank_value<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Option<&'a Value> {
    fields
        .get(name)
        .filter(|value| !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty()))
}

/// Distinguishes a program that logs to its standard output, which is a common mistake.
fn not_json(text: &str, error: &serde_json::Error) -> Error {
    let is_document = |text: &str| serde_json::from_str::<Map<String, Value>>(text).is_ok();
    if text.find('{').is_some_and(|start| is_document(&text[start..])) {
        return Error::invalid("output", "has text before the JSON object")
            .with_next_step("have the program print its messages to its standard error");
    }
    let message = format!("`output` is invalid JSON at line {} column {}", error.line(), error.column());
    Error::new(ErrorKind::Invalid, message).with_field("output").with_next_step(EXPECTED_OUTPUT)
}

fn not_an_object() -> Error {
    Error::invalid("output", "must be a JSON object").with_next_step(EXPECTED_OUTPUT)
}

fn unsupported_version() -> Error {
    Error::invalid("Version", "must be the number 1").with_next_step(EXPECTED_OUTPUT)
}

fn missing_field(field: &'static str) -> Error {
    Error::invalid(field, "is missing or blank").with_next_step(EXPECTED_OUTPUT)
}

fn not_a_string(field: &'static str) -> Error {
    Error::invalid(field, "must be a string").with_next_step(EXPECTED_OUTPUT)
}

fn malformed_field(error: Error) -> Error {
    error.with_next_step(EXPECTED_OUTPUT)
}

/// Converts an error of a part of the credentials to the field of the document.
pub(super) fn invalid_part(error: Error) -> Error {
    let field = match error.field() {
        Some("secret_access_key") => "SecretAccessKey",
        Some("session_token") => "SessionToken",
        _ => return error,
    };
    Error::invalid(field, "must be 1 to 16,384 visible ASCII characters").with_next_step(EXPECTED_OUTPUT)
}
