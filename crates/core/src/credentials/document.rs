//! Credentials written as JSON, in the spellings found in the field: tool inputs, secret payloads, stack files.

use std::borrow::Cow;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::Credentials;
use crate::{AccessKeyId, AccountId, Error, Expiry, Region, Result};

/// The accepted spellings of each field; the first is the one named in errors.
const ACCESS_KEY_ID: &[&str] = &["access_key_id", "AccessKeyId", "aws_access_key_id", "accessKeyId"];
const SECRET_ACCESS_KEY: &[&str] =
    &["secret_access_key", "SecretAccessKey", "aws_secret_access_key", "secretAccessKey"];
const SESSION_TOKEN: &[&str] =
    &["session_token", "SessionToken", "aws_session_token", "sessionToken", "Token", "token"];
const EXPIRES_AT: &[&str] =
    &["expires_at", "Expiration", "expiration", "expiresAt", "aws_credential_expiration"];
const ACCOUNT_ID: &[&str] = &["account_id", "AccountId", "aws_account_id", "accountId"];
const REGION: &[&str] = &["region", "Region", "aws_region", "aws_default_region"];

impl Credentials {
    /// Reads a set from JSON text: an object with `access_key_id`, `secret_access_key`, and optionally
    /// `session_token`, `expires_at` (RFC 3339), `account_id` and `region`. The spellings of the AWS API
    /// (`AccessKeyId` …), of the shared files (`aws_access_key_id` …) and of JavaScript (`accessKeyId` …) count too.
    /// Blank and `null` fields count as missing; unknown fields are ignored.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the field, or the line and column where the JSON breaks.
    /// The text is never repeated.
    pub fn from_json(text: &str, provider: impl Into<Cow<'static, str>>) -> Result<Self> {
        let value = serde_json::from_str(text).map_err(|error| json_error(&error))?;
        Self::from_json_value(&value, provider)
    }

    /// The same as [`from_json`](Self::from_json), for JSON that was parsed before.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_json_value(value: &Value, provider: impl Into<Cow<'static, str>>) -> Result<Self> {
        let fields = value.as_object().ok_or_else(|| {
            Error::new(crate::ErrorKind::Invalid, "credentials must be a JSON object")
                .with_next_step("give an object with `access_key_id` and `secret_access_key`")
        })?;
        let access_key_id = AccessKeyId::parse(ACCESS_KEY_ID[0], required(fields, ACCESS_KEY_ID)?)?;
        let secret = SecretString::from(required(fields, SECRET_ACCESS_KEY)?);
        let expiry = text(fields, EXPIRES_AT)?.map(|at| Expiry::parse(EXPIRES_AT[0], at)).transpose()?;
        Self::builder(access_key_id, secret)
            .session_token(text(fields, SESSION_TOKEN)?.map(SecretString::from))
            .expiry(expiry.unwrap_or(Expiry::Never))
            .account_id(text(fields, ACCOUNT_ID)?.map(|id| AccountId::parse(ACCOUNT_ID[0], id)).transpose()?)
            .region(text(fields, REGION)?.map(|region| Region::parse(REGION[0], region)).transpose()?)
            .provider(provider)
            .build()
    }
}

/// Where JSON breaks, without the text around it.
pub(crate) fn json_error(error: &serde_json::Error) -> Error {
    let message = format!("invalid JSON at line {} column {}", error.line(), error.column());
    Error::new(crate::ErrorKind::Invalid, message).with_next_step("send one well-formed JSON object")
}

fn required<'a>(fields: &'a Map<String, Value>, names: &[&'static str]) -> Result<&'a str> {
    text(fields, names)?.ok_or_else(|| {
        Error::new(crate::ErrorKind::Invalid, format!("missing required field '{}'", names[0]))
            .with_field(names[0])
            .with_next_step("add it and send the whole object again")
    })
}

fn text<'a>(fields: &'a Map<String, Value>, names: &[&'static str]) -> Result<Option<&'a str>> {
    let present = names.iter().find_map(|name| fields.get(*name).filter(|value| !value.is_null()));
    match present {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(Error::invalid(names[0], "must be a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

    #[test]
    fn the_spellings_of_the_field_are_read() {
        for text in [
            r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"s3","session_token":"t","region":"us-west-2"}"#,
            r#"{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"s3","SessionToken":"t","Region":"us-west-2"}"#,
            r#"{"aws_access_key_id":"AKIAIOSFODNN7EXAMPLE","aws_secret_access_key":"s3","aws_session_token":"t","aws_region":"us-west-2"}"#,
        ] {
            let credentials = Credentials::from_json(text, "test").unwrap();
            assert_eq!(credentials.access_key_id().as_str(), KEY);
            assert_eq!(credentials.expose_session_token(), Some("t"));
            assert_eq!(credentials.region().unwrap().as_str(), "us-west-2");
        }
    }

    #[test]
    fn a_fault_names_the_field_and_echoes_nothing() {
        for (text, field) in [
            (r#"{"secret_access_key":"hunter2"}"#, "access_key_id"),
            (r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE"}"#, "secret_access_key"),
            (r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"  "}"#, "secret_access_key"),
            (r#"{"access_key_id":"hun ter2","secret_access_key":"hunter2"}"#, "access_key_id"),
            (
                r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"hun\nter2"}"#,
                "secret_access_key",
            ),
            (r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":7}"#, "secret_access_key"),
            (
                r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"hunter2","expires_at":"hunter2"}"#,
                "expires_at",
            ),
            (
                r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"hunter2","region":"hunter2.example"}"#,
                "region",
            ),
            (
                r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"hunter2","account_id":"hunter2"}"#,
                "account_id",
            ),
        ] {
            let error = Credentials::from_json(text, "test").unwrap_err();
            assert_eq!(error.field(), Some(field), "{error}");
            assert!(!format!("{error} {error:?}").contains("hun"), "{error:?}");
        }
    }

    #[test]
    fn broken_json_is_told_by_position() {
        let error = Credentials::from_json("{\"secret_access_key\": \"hunter2", "test").unwrap_err();
        assert!(error.to_string().starts_with("invalid JSON at line 1 column"), "{error}");
        assert!(!error.to_string().contains("hunter2"));
        assert!(Credentials::from_json("[]", "test").is_err());
    }
}
