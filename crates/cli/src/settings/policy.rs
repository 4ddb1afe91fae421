//! `[policies.NAME]`: limits permissions, as a document or as a list of services.

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
