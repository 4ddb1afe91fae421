//! The document that a program prints: version 1 of `credential_process`, and no other.

use serde_json::{Map, Value};
use valetkey_core::{AccessKeyId, AccountId, Credentials, CredentialsBuilder, Expiry, Result, SecretString};

use super::error;

/// Reads `Version` (1), `AccessKeyId`, `SecretAccessKey`, and optionally `SessionToken`, `Expiration` and `AccountId`.
/// Blank and `null` count as missing; other fields are ignored. [`Expiry::from_json`] and [`AccountId::from_json`] have
/// the spellings that programs use for the last two.
pub(super) fn parse_output(text: &str) -> Result<CredentialsBuilder> {
    let text = text.trim_start_matches('\u{feff}');
    let document: Value = serde_json::from_str(text).map_err(|error| error::not_json(text, &error))?;
    let fields = document.as_object().ok_or_else(error::not_an_object)?;
    if fields.get("Version").and_then(Value::as_f64) != Some(1.0) {
        return Err(error::unsupported_version());
    }
    let id = AccessKeyId::parse("AccessKeyId", required_text(fields, "AccessKeyId")?)
        .map_err(error::malformed_field)?;
    let secret = SecretString::from(required_text(fields, "SecretAccessKey")?);
    let expiry =
        non_blank_value(fields, "Expiration").map(|at| Expiry::from_json("Expiration", at)).transpose()?;
    let account =
        non_blank_value(fields, "AccountId").map(|id| AccountId::from_json("AccountId", id)).transpose();
    Ok(Credentials::builder(id, secret)
        .session_token(optional_text(fields, "SessionToken")?.map(SecretString::from))
        .expiry(expiry.unwrap_or(Expiry::Never))
        .account_id(account.map_err(error::malformed_field)?))
}

fn required_text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<&'a str> {
    optional_text(fields, name)?.ok_or_else(|| error::missing_field(name))
}

fn optional_text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>> {
    non_blank_value(fields, name)
        .map(|value| value.as_str().map(str::trim).ok_or_else(|| error::not_a_string(name)))
        .transpose()
}

fn non_blank_value<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Option<&'a Value> {
    fields
        .get(name)
        .filter(|value| !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty()))
}
