//! `[policies.NAME]`: limits permissions, as a document or as a list of services; `[scopes.NAME]`: a part of a session.

use std::path::PathBuf;

use serde::Deserialize;

/// A policy, in one of three forms.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicySettings {
    /// An IAM policy document, as JSON.
    pub(crate) document: Option<String>,
    /// A file that contains an IAM policy document.
    pub(crate) file: Option<PathBuf>,
    /// The services to which read-only access is allowed; everything else is denied.
    pub(crate) read_only: Option<Vec<String>>,
}

/// A session with less authority, which `serve --scope` serves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeSettings {
    /// The accounts (default: those of the session).
    pub(crate) accounts: Option<Vec<String>>,
    /// The name of a policy, or a policy as JSON.
    pub(crate) policy: Option<String>,
    pub(crate) lifetime_seconds: Option<u64>,
}
