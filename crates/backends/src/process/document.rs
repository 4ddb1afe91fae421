//! The document that a program prints: version 1 of `credential_process`, and no other.

use serde_json::{Map, Value};
use valetkey_core::{AccessKeyId, AccountId, Credentials, CredentialsBuilder, Expiry, Result, SecretString};

use super::error;

/// Reads `Version` (1), `AccessKeyId`, `SecretAccessKey`, and optionally `SessionToken`, `Expiration` and `AccountId`.
/// Blank and `null` count as missing; other fields are ignored.
pub(super) fn read(text: &str) -> Result<CredentialsBuilder> {
    let document: Value = serde_json::from_str(text).map_err(|told| error::not_json(&told))?;
    let fields = document.as_object().ok_or_else(error::not_an_object)?;
    if fields.get("Version").and_then(Value::as_u64) != Some(1) {
        return Err(error::other_version());
    }
    let id = AccessKeyId::parse("AccessKeyId", required(fields, "AccessKeyId")?).map_err(error::malformed)?;
    let secret = SecretString::from(required(fields, "SecretAccessKey")?);
    let expiry = optional(fields, "Expiration")?.map(|at| Expiry::parse("Expiration", at)).transpose()?;
    let account = optional(fields, "AccountId")?.map(|id| AccountId::parse("AccountId", id)).transpose();
    Ok(Credentials::builder(id, secret)
        .session_token(optional(fields, "SessionToken")?.map(SecretString::from))
        .expiry(expiry.unwrap_or(Expiry::Never))
        .account_id(account.map_err(error::malformed)?))
}

fn required<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<&'a str> {
    optional(fields, name)?.ok_or_else(|| error::missing(name))
}

fn optional<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(error::not_text(name)),
    }
}
