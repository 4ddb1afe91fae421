//! The cache of sign-ins that the AWS CLI writes: until when each of them is usable without a person.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;
use valetkey_core::{ExposeSecret, SecretString};

/// More than any sign-in takes. A file is not read any further, and one that is cut off is no JSON.
const MAX_BYTES: u64 = 256 * 1024;
/// How long AWS renews the credentials of `aws login`, counted from the sign-in.
const LOGIN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// What `aws sso login` writes. Tokens are skipped and not copied.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoToken {
    #[serde(rename = "accessToken")]
    _access_token: IgnoredAny,
    expires_at: String,
    client_id: Option<IgnoredAny>,
    client_secret: Option<IgnoredAny>,
    refresh_token: Option<IgnoredAny>,
    registration_expires_at: Option<String>,
}

/// What `aws login` writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoginToken {
    access_token: LoginCredentials,
    #[serde(rename = "refreshToken")]
    _refresh_token: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoginCredentials {
    expires_at: String,
}

/// The text of a cached sign-in; `None` if there is no readable regular file. What is not a file is not opened, because
/// opening a pipe would wait for its writer.
pub(super) async fn read(path: &Path) -> Option<SecretString> {
    if !fs::metadata(path).await.ok()?.is_file() {
        return None;
    }
    let bytes = read_bytes(path).await.ok()?;
    String::from_utf8(bytes).map(SecretString::from).ok()
}

async fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).await?.take(MAX_BYTES).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// A session is renewed by the SDK as long as the client is registered. How long AWS allows that is known to AWS alone.
pub(super) fn sso_session_ends_at(text: &SecretString) -> Option<SystemTime> {
    let token: SsoToken = serde_json::from_str(text.expose_secret()).ok()?;
    let expires_at = instant(&token.expires_at)?;
    let is_renewable =
        token.client_id.is_some() && token.client_secret.is_some() && token.refresh_token.is_some();
    let registered_until = match &token.registration_expires_at {
        Some(until) => Some(instant(until)?),
        None => None,
    };
    Some(registered_until.filter(|_| is_renewable).map_or(expires_at, |until| until.max(expires_at)))
}

/// A token for a start URL is never renewed by the SDK.
pub(super) fn sso_token_ends_at(text: &SecretString) -> Option<SystemTime> {
    let token: SsoToken = serde_json::from_str(text.expose_secret()).ok()?;
    instant(&token.expires_at)
}

/// The credentials live for 15 minutes, and the SDK renews them. The time of the sign-in is not written down; it was before
/// the credentials that are cached.
pub(super) fn login_ends_at(text: &SecretString) -> Option<SystemTime> {
    let token: LoginToken = serde_json::from_str(text.expose_secret()).ok()?;
    instant(&token.access_token.expires_at)?.checked_add(LOGIN_LIFETIME)
}

/// Read as the SDK reads it: a time that it refuses makes the sign-in useless.
fn instant(text: &str) -> Option<SystemTime> {
    SystemTime::try_from(DateTime::from_str(text, Format::DateTime).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(of: fn(&SecretString) -> Option<SystemTime>, text: &str) -> Option<u64> {
        let end = of(&SecretString::from(text))?;
        Some(end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    const RENEWABLE: &str = r#"{"accessToken": "a", "expiresAt": "1970-01-01T00:00:10Z", "clientId": "c",
        "clientSecret": "s", "refreshToken": "r", "registrationExpiresAt": "1970-01-01T00:01:00Z"}"#;

    #[test]
    fn sso_session_renewable_ends_with_registration() {
        assert_eq!(seconds(sso_session_ends_at, RENEWABLE), Some(60));
        assert_eq!(seconds(sso_token_ends_at, RENEWABLE), Some(10));
        for field in ["clientId", "clientSecret", "refreshToken", "registrationExpiresAt"] {
            let token = RENEWABLE.replace(field, "other");
            assert_eq!(seconds(sso_session_ends_at, &token), Some(10), "{field}");
        }
        let registration_ended = RENEWABLE.replace("00:01:00Z", "00:00:01Z");
        assert_eq!(seconds(sso_session_ends_at, &registration_ended), Some(10));
    }

    #[test]
    fn login_ends_12_hours_after_last_credentials() {
        let token = r#"{"accessToken": {"expiresAt": "1970-01-01T00:00:10Z"}, "refreshToken": "r"}"#;
        assert_eq!(seconds(login_ends_at, token), Some(12 * 3_600 + 10));
        assert_eq!(seconds(login_ends_at, &token.replace("refreshToken", "other")), None);
    }

    #[test]
    fn sign_in_cache_unreadable_has_no_end() {
        for text in ["", "{", "[]", "{}", r#"{"accessToken": "a", "expiresAt": "1970-01-01T00:00:10UTC"}"#] {
            for of in [sso_session_ends_at, sso_token_ends_at, login_ends_at] {
                assert_eq!(seconds(of, text), None, "{text}");
            }
        }
    }
}
