//! Reads credentials from JSON in the common spellings: tool inputs, secret payloads, stack files.

use std::borrow::Cow;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::Credentials;
use crate::{AccessKeyId, AccountId, Error, Expiry, Region, Result};

/// The accepted names of a field, as `normalize_name` writes them. Errors use the first name.
struct FieldNames {
    name: &'static str,
    normalized: &'static [&'static str],
}

const ACCESS_KEY_ID: FieldNames = FieldNames { name: "access_key_id", normalized: &["accesskeyid"] };
const SECRET_ACCESS_KEY: FieldNames =
    FieldNames { name: "secret_access_key", normalized: &["secretaccesskey"] };
const SESSION_TOKEN: FieldNames =
    FieldNames { name: "session_token", normalized: &["sessiontoken", "token", "securitytoken"] };
const EXPIRES_AT: FieldNames =
    FieldNames { name: "expires_at", normalized: &["expiresat", "expiration", "credentialexpiration"] };
const ACCOUNT_ID: FieldNames = FieldNames { name: "account_id", normalized: &["accountid"] };
const REGION: FieldNames = FieldNames { name: "region", normalized: &["region", "defaultregion"] };

/// The objects in which AWS nests credentials: IAM (`CreateAccessKey`), STS, IAM Identity Center.
const NESTED_OBJECTS: [&str; 3] = ["AccessKey", "Credentials", "roleCredentials"];

impl Credentials {
    /// Reads credentials from JSON text: an object with `access_key_id`, `secret_access_key`, and optionally
    /// `session_token`, `expires_at`, `account_id` and `region`.
    ///
    /// Case, underscores and a leading `aws_` of names are ignored, so that `AccessKeyId` (the API),
    /// `aws_access_key_id` (the shared files), `AWS_ACCESS_KEY_ID` (the environment) and `accessKeyId` (JavaScript)
    /// are equivalent. The object may also be inside `AccessKey` (`aws iam create-access-key`), `Credentials` (STS) or
    /// `roleCredentials` (`aws sso get-role-credentials`). `expires_at` is parsed by [`Expiry::from_json`], and the
    /// account id may be a number. Blank and `null` fields count as missing; unknown fields are ignored.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the field, or the line and column where the JSON is malformed;
    /// also for a field that is given twice with different values. The text is never repeated.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::Credentials;
    /// let text = r#"{"AccessKeyId": "test", "SecretAccessKey": "example", "Region": "us-west-2"}"#;
    /// let credentials = Credentials::from_json(text, "file")?;
    /// assert_eq!(credentials.region().map(|region| region.as_str()), Some("us-west-2"));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn from_json(text: &str, provider: impl Into<Cow<'static, str>>) -> Result<Self> {
        let text = text.trim_start_matches('\u{feff}');
        let value = serde_json::from_str(text).map_err(|error| json_error(&error))?;
        Self::from_json_value(&value, provider)
    }

    /// Reads credentials from JSON that was already parsed, as [`from_json`](Self::from_json) does.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_json_value(value: &Value, provider: impl Into<Cow<'static, str>>) -> Result<Self> {
        let fields = value.as_object().ok_or_else(|| {
            Error::new(crate::ErrorKind::Invalid, "credentials must be a JSON object")
                .with_next_step("give an object with `access_key_id` and `secret_access_key`")
        })?;
        let fields = CredentialsObject::new(fields);
        let access_key_id = AccessKeyId::parse(ACCESS_KEY_ID.name, fields.required(&ACCESS_KEY_ID)?)?;
        let secret = SecretString::from(fields.required(&SECRET_ACCESS_KEY)?);
        let expiry = fields.value(&EXPIRES_AT)?.map(|at| Expiry::from_json(EXPIRES_AT.name, at));
        let account = fields.value(&ACCOUNT_ID)?.map(|id| AccountId::from_json(ACCOUNT_ID.name, id));
        let region = fields.text(&REGION)?.map(|region| Region::parse(REGION.name, region));
        Self::builder(access_key_id, secret)
            .session_token(fields.text(&SESSION_TOKEN)?.map(SecretString::from))
            .expiry(expiry.transpose()?.unwrap_or(Expiry::Never))
            .account_id(account.transpose()?)
            .region(region.transpose()?)
            .provider(provider)
            .build()
    }
}

/// An object of credentials, with the object around it if there is one.
struct CredentialsObject<'a> {
    objects: [Option<&'a Map<String, Value>>; 2],
}

impl<'a> CredentialsObject<'a> {
    /// Selects the outer object, or the object that AWS nests the keys in.
    ///
    /// An outer object that holds a key id itself is not searched further: it is what the caller meant.
    fn new(outer: &'a Map<String, Value>) -> Self {
        let flat = Self { objects: [Some(outer), None] };
        if matches!(flat.value(&ACCESS_KEY_ID), Ok(None)) {
            let inner = outer.iter().find(|(name, _)| {
                NESTED_OBJECTS.iter().any(|known| normalize_name(known) == normalize_name(name))
            });
            if let Some(inner) = inner.and_then(|(_, value)| value.as_object()) {
                return Self { objects: [Some(inner), Some(outer)] };
            }
        }
        flat
    }

    /// Returns a field without which there are no credentials. The error lists its accepted spellings.
    fn required(&self, field: &FieldNames) -> Result<&'a str> {
        self.text(field)?.ok_or_else(|| {
            Error::new(crate::ErrorKind::Invalid, format!("missing required field '{}'", field.name))
                .with_field(field.name)
                .with_next_step(format!("add it and send the whole object again; {}", spelling_hint(field)))
        })
    }

    /// Returns the text of a field, without blanks at its ends, which pasting often adds.
    fn text(&self, field: &FieldNames) -> Result<Option<&'a str>> {
        match self.value(field)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim())),
            Some(_) => Err(Error::invalid(field.name, "must be a string")),
        }
    }

    /// Returns the value of a field in any of its spellings, except blank ones. Two different values are an error:
    /// choosing one of them would hide a mistake.
    fn value(&self, field: &FieldNames) -> Result<Option<&'a Value>> {
        for object in self.objects.into_iter().flatten() {
            let mut values =
                object.iter().filter(|(name, value)| field.matches_name(name) && !is_blank(value));
            let Some((_, first)) = values.next() else { continue };
            if values.any(|(_, value)| value != first) {
                return Err(Error::invalid(field.name, "is given more than once, with different values")
                    .with_next_step("keep one of them"));
            }
            return Ok(Some(first));
        }
        Ok(None)
    }
}

impl FieldNames {
    /// Returns whether `name` is one of the accepted spellings of this field.
    fn matches_name(&self, name: &str) -> bool {
        self.normalized.contains(&&*normalize_name(name))
    }
}

/// Returns a name in lower case, without underscores, hyphens and a leading `aws`.
fn normalize_name(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
    let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    plain.strip_prefix("aws").map(str::to_owned).unwrap_or(plain)
}

/// Returns whether a value counts as missing: templates leave unused fields empty.
fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Returns the accepted spellings of a field, for errors.
fn spelling_hint(field: &FieldNames) -> String {
    let camel: String =
        field.name.split('_').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    let environment = format!("AWS_{}", field.name.to_ascii_uppercase());
    format!(
        "`{}`, `{camel}`, `{environment}` and the like are read, also inside `AccessKey` or `Credentials`",
        field.name
    )
}

/// Reports where the JSON is malformed, without the surrounding text.
pub(crate) fn json_error(error: &serde_json::Error) -> Error {
    let message = format!("invalid JSON at line {} column {}", error.line(), error.column());
    Error::new(crate::ErrorKind::Invalid, message).with_next_step("send one well-formed JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

    #[test]
    fn credentials_json_reads_field_spellings() {
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
    fn credentials_json_reads_shapes_of_aws_tools() {
        for text in [
            r#"{"AWS_ACCESS_KEY_ID":"AKIAIOSFODNN7EXAMPLE","AWS_SECRET_ACCESS_KEY":"s3","AWS_SESSION_TOKEN":"t"}"#,
            r#"{"ACCESS_KEY_ID":"AKIAIOSFODNN7EXAMPLE","SECRET_ACCESS_KEY":"s3","SESSION_TOKEN":"t"}"#,
            r#"{"access-key-id":"AKIAIOSFODNN7EXAMPLE","secret-access-key":"s3","aws_security_token":"t"}"#,
            r#"{"accessKeyId":"AKIAIOSFODNN7EXAMPLE","secretAccessKey":"s3","sessionToken":"t"}"#,
            r#"{"AccessKey":{"UserName":"a","AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"s3","SessionToken":"t"}}"#,
            r#"{"Credentials":{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"s3","SessionToken":"t"},"AssumedRoleUser":{}}"#,
            r#"{"roleCredentials":{"accessKeyId":"AKIAIOSFODNN7EXAMPLE","secretAccessKey":"s3","sessionToken":"t"}}"#,
            r#"{"access_key_id":"","AccessKeyId":"AKIAIOSFODNN7EXAMPLE","secret_access_key":" ","SecretAccessKey":"s3","session_token":null,"Token":"t"}"#,
            "\u{feff}{\"access_key_id\":\"AKIAIOSFODNN7EXAMPLE\",\"secret_access_key\":\"s3\",\"token\":\"t\"}",
        ] {
            let credentials = Credentials::from_json(text, "test").unwrap();
            assert_eq!(credentials.access_key_id().as_str(), KEY, "{text}");
            assert_eq!(credentials.expose_secret_access_key(), "s3", "{text}");
            assert_eq!(credentials.expose_session_token(), Some("t"), "{text}");
        }
    }

    #[test]
    fn credentials_json_reads_numbers() {
        let text = r#"{"roleCredentials":{"accessKeyId":"AKIAIOSFODNN7EXAMPLE","secretAccessKey":"s3","expiration":2051253957000},"account_id":2222222222,"region":"eu-west-1"}"#;
        let credentials = Credentials::from_json(text, "test").unwrap();
        assert_eq!(credentials.expiry().to_string(), "2035-01-01T08:45:57Z");
        assert_eq!(credentials.account_id().unwrap().as_str(), "002222222222");
        assert_eq!(credentials.region().unwrap().as_str(), "eu-west-1");
    }

    #[test]
    fn credentials_json_conflicting_values_is_invalid() {
        let text = r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","AccessKeyId":"AKIAI44QH8DHBEXAMPLE","secret_access_key":"hunter2"}"#;
        let error = Credentials::from_json(text, "test").unwrap_err();
        assert_eq!(error.field(), Some("access_key_id"), "{error}");
        let text = r#"{"access_key_id":"AKIAIOSFODNN7EXAMPLE","AccessKeyId":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"hunter2"}"#;
        assert!(Credentials::from_json(text, "test").is_ok(), "the same value twice");
    }

    #[test]
    fn credentials_json_missing_field_lists_spellings() {
        let error = Credentials::from_json(r#"{"key":"hunter2"}"#, "test").unwrap_err();
        let step = error.next_step().unwrap();
        for spelling in
            ["`access_key_id`", "`AccessKeyId`", "`AWS_ACCESS_KEY_ID`", "`AccessKey`", "`Credentials`"]
        {
            assert!(step.contains(spelling), "{error}");
        }
    }

    #[test]
    fn credentials_json_error_names_field_without_echo() {
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
    fn credentials_json_malformed_reports_position() {
        let error = Credentials::from_json("{\"secret_access_key\": \"hunter2", "test").unwrap_err();
        assert!(error.to_string().starts_with("invalid JSON at line 1 column"), "{error}");
        assert!(!error.to_string().contains("hunter2"));
        assert!(Credentials::from_json("[]", "test").is_err());
    }
}
