//! What a child sees: built from nothing, in an order in which a session's credentials always win.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use valetkey_core::{Credentials, ExposeSecret, Region, SecretString, SessionId};

use super::SessionHome;
use crate::endpoint::Grant;

/// The variable by which a program finds out that a gateway started it, directly or not. Its value is the id of the
/// session. A gateway that finds it in its own environment was started by a gateway, and would start itself again.
///
/// Programs under `exec` do not get it: an agent that runs there may well start a gateway. They pass it on.
pub const GATEWAY_MARKER: &str = "VALETKEY_GATEWAY";

/// Inherited when the host has them.
const BASELINE: &[&str] =
    &["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ", GATEWAY_MARKER];

/// Where the host keeps its certificates; without them nothing behind a private CA is reached.
const CERTIFICATES: &[&str] = &[
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
];

/// Each of these beats the container endpoint in some SDK, or leads to somebody else's credentials. A child that is
/// given a session's credentials never sees one of them.
const OUTRANKING: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AMAZON_ACCESS_KEY_ID",
    "AMAZON_SECRET_ACCESS_KEY",
    "AMAZON_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_CREDENTIAL_PROFILES_FILE",
    "BOTO_CONFIG",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
];

/// So does every variable that begins so: one bearer token for each service.
const OUTRANKING_PREFIX: &str = "AWS_BEARER_TOKEN_";

/// Those of them that are secrets.
const SECRET: &[&str] = &[
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_SECRET_KEY",
    "AMAZON_SECRET_ACCESS_KEY",
    "AMAZON_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
];

/// The part of the host's environment from which children may inherit.
#[derive(Debug, Clone, Default)]
pub struct HostEnvironment {
    inherited: BTreeMap<OsString, OsString>,
    /// Keys of AWS, which no child inherits. A child may still read them in the environment of this process, and what it
    /// writes is masked.
    secrets: Vec<SecretString>,
}

impl HostEnvironment {
    /// What the host hands in. Everything that children may not inherit is dropped at once, except for the secrets among
    /// the variables of AWS, which [`McpHost`](crate::McpHost) masks.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            if inheritable(&name) {
                environment.inherited.insert(name, value);
            } else if is_secret(&name)
                && let Some(value) = value.to_str()
            {
                environment.secrets.push(value.into());
            }
        }
        environment
    }

    /// The secrets of AWS in the host's environment.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(ExposeSecret::expose_secret)
    }

    /// The environment of this process.
    #[must_use]
    pub fn from_process() -> Self {
        Self::new(std::env::vars_os())
    }
}

fn inheritable(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    BASELINE.contains(&name) || CERTIFICATES.contains(&name) || name.starts_with("AWS_ENDPOINT_URL")
}

fn is_secret(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| SECRET.contains(&name) || name.starts_with(OUTRANKING_PREFIX))
}

fn outranks(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| OUTRANKING.contains(&name) || name.starts_with(OUTRANKING_PREFIX))
}

/// A child's whole environment, in the making.
pub struct ChildEnvironment(BTreeMap<OsString, OsString>);

impl ChildEnvironment {
    /// The baseline, and what the child's configuration names.
    pub fn new<'a>(
        host: &HostEnvironment,
        named: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        Self(host.inherited.clone()).named(named)
    }

    /// What the child's configuration names, over what is there.
    #[must_use]
    pub fn named<'a>(mut self, named: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        self.0.extend(named.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Everything that outranks or bypasses a session's credentials is taken out, and the ways around them are shut:
    /// the instance metadata service, the shared files, profiles.
    #[must_use]
    pub fn shut(mut self, home: &SessionHome) -> Self {
        self.0.retain(|name, _| !outranks(name));
        self.put("AWS_EC2_METADATA_DISABLED", "true");
        self.put("AWS_SHARED_CREDENTIALS_FILE", home.credentials_file());
        self.put("AWS_CONFIG_FILE", home.config_file());
        self
    }

    /// A `HOME` and `TMPDIR` of the session's own, for servers share state and logs through them. The package caches
    /// of `uvx` and `npx` stay the host's, so that a server is not downloaded again for each session.
    #[must_use]
    pub fn at_home(mut self, home: &SessionHome) -> Self {
        if let Some(host_home) = self.0.get(OsStr::new("HOME")).cloned() {
            let below = |path: &str| std::path::Path::new(&host_home).join(path).into_os_string();
            for (name, path) in [("UV_CACHE_DIR", ".cache/uv"), ("npm_config_cache", ".npm")] {
                self.0.entry(name.into()).or_insert_with(|| below(path));
            }
        }
        self.put("HOME", home.home());
        self.put("TMPDIR", home.tmp());
        self
    }

    /// The region, under both of its names.
    #[must_use]
    pub fn region(mut self, region: Option<&Region>) -> Self {
        if let Some(region) = region {
            self.put("AWS_REGION", region.as_str());
            self.put("AWS_DEFAULT_REGION", region.as_str());
        }
        self
    }

    /// Marks the child as one of a gateway; see [`GATEWAY_MARKER`]. Comes after whatever a configuration names.
    #[must_use]
    pub fn marked(mut self, session: SessionId) -> Self {
        self.put(GATEWAY_MARKER, session.to_string());
        self
    }

    /// Delivery by endpoint: address and token, no key.
    #[must_use]
    pub fn endpoint(mut self, grant: &Grant) -> Self {
        self.put("AWS_CONTAINER_CREDENTIALS_FULL_URI", grant.url());
        self.put("AWS_CONTAINER_AUTHORIZATION_TOKEN", grant.expose_token());
        self
    }

    /// Delivery by environment: the keys themselves.
    #[must_use]
    pub fn keys(mut self, credentials: &Credentials) -> Self {
        self.put("AWS_ACCESS_KEY_ID", credentials.access_key_id().as_str());
        self.put("AWS_SECRET_ACCESS_KEY", credentials.expose_secret_access_key());
        if let Some(token) = credentials.expose_session_token() {
            self.put("AWS_SESSION_TOKEN", token);
        }
        self
    }

    pub(super) fn into_variables(self) -> BTreeMap<OsString, OsString> {
        self.0
    }

    fn put(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.insert(name.into(), value.as_ref().to_owned());
    }
}

/// Names only: values may be secret.
impl std::fmt::Debug for ChildEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostEnvironment {
        let variables = [
            ("PATH", "/bin"),
            ("HOME", "/home-of-host"),
            ("AWS_ACCESS_KEY_ID", "host"),
            ("AWS_PROFILE", "host"),
            ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
            ("GITHUB_TOKEN", "host"),
        ];
        HostEnvironment::new(variables.map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn a_child_inherits_what_is_listed_and_nothing_else() {
        let named = BTreeMap::new();
        let variables = ChildEnvironment::new(&host(), &named).into_variables();
        let names: Vec<_> = variables.keys().filter_map(|name| name.to_str()).collect();
        assert_eq!(names, ["AWS_ENDPOINT_URL_STS", "HOME", "PATH"]);
    }

    #[test]
    fn nothing_that_outranks_the_endpoint_survives_even_when_the_configuration_names_it() {
        let home = SessionHome::create(None).unwrap();
        let named = BTreeMap::from([
            ("AWS_PROFILE".to_owned(), "x".to_owned()),
            ("MODE".to_owned(), "ro".to_owned()),
        ]);
        let variables = ChildEnvironment::new(&host(), &named).shut(&home).at_home(&home).into_variables();
        assert!(!variables.contains_key(OsStr::new("AWS_PROFILE")));
        assert_eq!(variables[OsStr::new("MODE")], "ro");
        assert_eq!(variables[OsStr::new("HOME")], home.home());
        assert_eq!(variables[OsStr::new("UV_CACHE_DIR")], "/home-of-host/.cache/uv");
        assert_eq!(variables[OsStr::new("AWS_EC2_METADATA_DISABLED")], "true");
    }
}
