//! `[http]`: how the gateway over HTTP authenticates its callers, encrypts, and its public names.

use std::collections::BTreeMap;
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
    /// The file with the certificate of the gateway, as PEM.
    pub(crate) certificate: Option<PathBuf>,
    /// The file with its private key, as PEM.
    pub(crate) private_key: Option<PathBuf>,
    /// The issuers of access tokens, by name. Tables of their own, read beside the other keys.
    #[serde(skip)]
    pub(crate) issuers: BTreeMap<String, IssuerSettings>,
    /// Issuers that could not be read. A reference to one is not reported as a second error.
    #[serde(skip)]
    pub(crate) invalid_issuers: Vec<String>,
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

/// An issuer of access tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerSettings {
    /// The issuer, exactly as in the `iss` of its tokens.
    pub(crate) issuer: String,
    /// The file with the keys of the issuer, a JSON Web Key Set.
    pub(crate) jwks_file: Option<PathBuf>,
    /// The URL of the keys of the issuer, instead of a file.
    pub(crate) jwks_url: Option<String>,
    #[serde(default)]
    pub(crate) algorithms: Vec<String>,
    /// The audiences for which tokens may be issued.
    #[serde(default)]
    pub(crate) audiences: Vec<String>,
    /// The claims that identify a user (default: `sub`).
    #[serde(default)]
    pub(crate) subject_claims: Vec<String>,
    pub(crate) scope_claim: Option<String>,
    /// The scopes that a token must have.
    #[serde(default)]
    pub(crate) required_scopes: Vec<String>,
    /// The clients to which tokens may be issued.
    #[serde(default)]
    pub(crate) clients: Vec<String>,
    pub(crate) token_use: Option<String>,
}

/// The value that a claim must have or contain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum ClaimValue {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl HttpSettings {
    /// Whether there are issuers, valid or not.
    pub(crate) fn has_issuers(&self) -> bool {
        !self.issuers.is_empty() || !self.invalid_issuers.is_empty()
    }

    /// Returns the name of the issuer that a principal names, or of the only one.
    pub(crate) fn issuer_of<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        let names = || self.issuers.keys().chain(&self.invalid_issuers).map(String::as_str);
        match named {
            Some(named) => names().find(|name| *name == named),
            None if names().count() == 1 => names().next(),
            None => None,
        }
    }
}
