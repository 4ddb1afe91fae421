//! `SignIn`: the sign-in that a person makes for a profile, and the command that renews it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_config::profile::{Profile, ProfileSet, load};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_types::os_shim_internal::{Env, Fs};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;
use valetkey_core::{ExposeSecret, SecretString};

use super::source::SourceKind;

/// The maximum number of profiles in a chain of `source_profile`.
const MAX_PROFILE_CHAIN: usize = 16;

/// The sign-in that a profile depends on, possibly through other profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignIn {
    /// The profile to sign in for.
    profile: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// `aws sso login`, for a section `[sso-session NAME]`.
    SsoSession(String),
    /// `aws sso login`, for the start URL in the profile itself.
    SsoStartUrl(String),
    /// `aws login`, for the ARN of the console session.
    Login(String),
}

impl SignIn {
    /// Returns the sign-in that the credentials of `source_kind` depend on, if they depend on one.
    pub(super) async fn for_source(source_kind: &SourceKind) -> Option<Self> {
        let profiles = load(&Fs::real(), &Env::real(), &Default::default(), None).await.ok()?;
        match source_kind {
            // Keys in the environment come before any profile.
            SourceKind::DefaultChain if variable("AWS_ACCESS_KEY_ID").is_some() => None,
            SourceKind::DefaultChain => Self::find(&profiles, profiles.selected_profile()),
            SourceKind::Profile(name) => Self::find(&profiles, name),
        }
    }

    /// Follows the same order as the SDK: it takes what a profile has first and ignores the rest.
    fn find(profiles: &ProfileSet, name: &str) -> Option<Self> {
        let mut profile = profiles.get_profile(name)?;
        for followed in 0..MAX_PROFILE_CHAIN {
            if followed > 0 && has_keys(profile) {
                return None;
            }
            match source_profile(profile) {
                Some(source) => profile = profiles.get_profile(source)?,
                None => return Self::in_profile(profiles, profile),
            }
        }
        None
    }

    /// Returns the sign-in that the profile itself names.
    fn in_profile(profiles: &ProfileSet, profile: &Profile) -> Option<Self> {
        if has(profile, "credential_source") || has(profile, "web_identity_token_file") {
            return None;
        }
        let kind = if let Some(session) = value(profile, "sso_session") {
            profiles.sso_session(session)?;
            Kind::SsoSession(session.to_owned())
        } else if let Some(url) = value(profile, "sso_start_url") {
            Kind::SsoStartUrl(url.to_owned())
        } else {
            Kind::Login(value(profile, "login_session")?.to_owned())
        };
        Some(Self { profile: profile.name().to_owned(), kind })
    }

    /// Returns the command that renews the sign-in. It needs no quotes, because the SDK skips profiles whose names do.
    pub(super) fn renewing_command(&self) -> String {
        let command = if matches!(self.kind, Kind::Login(_)) { "aws login" } else { "aws sso login" };
        format!("{command} --profile {}", self.profile)
    }

    /// Returns whether the cache on this machine has no sign-in that is usable at `now` or that the SDK can renew. A sign-in
    /// that ended at AWS alone is not detected.
    pub(super) async fn has_ended(&self, now: SystemTime) -> bool {
        let Some(path) = self.cache_file() else { return true };
        let Some(text) = read_cache(&path).await else { return true };
        let ends_at = match self.kind {
            Kind::SsoSession(_) => sso_session_ends_at(&text),
            Kind::SsoStartUrl(_) => sso_token_ends_at(&text),
            Kind::Login(_) => login_ends_at(&text),
        };
        ends_at.is_none_or(|end| end <= now)
    }

    /// Returns the file in which the AWS CLI and the SDKs keep the sign-in. Its name is a digest, so it cannot leave the folder.
    fn cache_file(&self) -> Option<PathBuf> {
        let aws = || variable("HOME").map(|home| PathBuf::from(home).join(".aws"));
        let (folder, digest) = match &self.kind {
            Kind::SsoSession(name) | Kind::SsoStartUrl(name) => {
                (aws()?.join("sso/cache"), hex::encode(Sha1::digest(name.as_bytes())))
            }
            Kind::Login(session) => {
                let named = variable("AWS_LOGIN_CACHE_DIRECTORY").map(PathBuf::from);
                let folder = named.or_else(|| Some(aws()?.join("login/cache")))?;
                (folder, hex::encode(Sha256::digest(session.trim().as_bytes())))
            }
        };
        Some(folder.join(digest).with_extension("json"))
    }
}

/// Returns the name of the profile whose credentials assume the role of this profile.
fn source_profile(profile: &Profile) -> Option<&str> {
    let assumes = has(profile, "role_arn") && !has(profile, "web_identity_token_file");
    value(profile, "source_profile").filter(|source| assumes && *source != profile.name())
}

fn has_keys(profile: &Profile) -> bool {
    has(profile, "aws_access_key_id") && has(profile, "aws_secret_access_key")
}

fn has(profile: &Profile, key: &str) -> bool {
    value(profile, key).is_some()
}

fn value<'p>(profile: &'p Profile, key: &str) -> Option<&'p str> {
    profile.get(key).filter(|value| !value.trim().is_empty())
}

fn variable(name: &str) -> Option<String> {
    Env::real().get(name).ok().filter(|value| !value.is_empty())
}

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
async fn read_cache(path: &Path) -> Option<SecretString> {
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
fn sso_session_ends_at(text: &SecretString) -> Option<SystemTime> {
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
fn sso_token_ends_at(text: &SecretString) -> Option<SystemTime> {
    let token: SsoToken = serde_json::from_str(text.expose_secret()).ok()?;
    instant(&token.expires_at)
}

/// The credentials live for 15 minutes, and the SDK renews them. The time of the sign-in is not written down; it was before
/// the credentials that are cached.
fn login_ends_at(text: &SecretString) -> Option<SystemTime> {
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
