//! `[http]`: how the gateway over HTTP authenticates its callers, and its public names.

use std::path::PathBuf;

use serde::Deserialize;

/// The settings of `serve --http`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSettings {
    pub(crate) auth: Option<HttpAuth>,
    /// The URL of the MCP endpoint as clients know it.
    pub(crate) public_url: Option<String>,
    /// Further values of `Host`.
    #[serde(default)]
    pub(crate) allowed_hosts: Vec<String>,
    /// Further values of `Origin`.
    #[serde(default)]
    pub(crate) allowed_origins: Vec<String>,
    /// The issuer of access tokens, exactly as in their `iss`.
    pub(crate) issuer: Option<String>,
    /// The file with the keys of the issuer, a JSON Web Key Set.
    pub(crate) jwks_file: Option<PathBuf>,
    /// The URL of the keys of the issuer, instead of a file.
    pub(crate) jwks_url: Option<String>,
    /// The audiences for which tokens may be issued.
    #[serde(default)]
    pub(crate) audiences: Vec<String>,
    /// The scopes that a token must have.
    #[serde(default)]
    pub(crate) required_scopes: Vec<String>,
}

/// Whether requests are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HttpAuth {
    /// They are not: every user of the machine may use the gateway.
    None,
    /// By a bearer token of one of the principals.
    Bearer,
}
