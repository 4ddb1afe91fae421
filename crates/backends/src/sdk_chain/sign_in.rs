//! `SignIn`: the sign-in that a person makes for a profile, and the command that renews it.

mod cache;

use std::path::PathBuf;
use std::time::SystemTime;

use aws_config::profile::{Profile, ProfileSet, load};
use aws_types::os_shim_internal::{Env, Fs};
use sha1::{Digest, Sha1};
use sha2::Sha256;

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
        let Some(text) = cache::read(&path).await else { return true };
        let ends_at = match self.kind {
            Kind::SsoSession(_) => cache::sso_session_ends_at(&text),
            Kind::SsoStartUrl(_) => cache::sso_token_ends_at(&text),
            Kind::Login(_) => cache::login_ends_at(&text),
        };
        ends_at.is_none_or(|end| end <= now)
    }

    /// Returns the file in which the AWS CLI and the SDKs keep the sign-in. Its name is a digest, so it cannot leave the folder.
    fn cache_file(&self) -> Option<PathBuf> {
        let aws = || variable("HOME").map(|home| PathBuf::from(home).join(".aws"));
        let (folder, digest) = match &self.kind {
            Kind::SsoSession(name) | Kind::SsoStartUrl(name) => {
                (aws()?.join("sso/cache"), hex(&Sha1::digest(name.as_bytes())))
            }
            Kind::Login(session) => {
                let named = variable("AWS_LOGIN_CACHE_DIRECTORY").map(PathBuf::from);
                let folder = named.or_else(|| Some(aws()?.join("login/cache")))?;
                (folder, hex(&Sha256::digest(session.trim().as_bytes())))
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

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
