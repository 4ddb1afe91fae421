//! `[policies.NAME]`: what may be done at most, written out or composed.

use std::path::PathBuf;

use serde::Deserialize;

/// A policy, told in one of three ways.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicySettings {
    /// An IAM policy document, as JSON.
    pub(crate) document: Option<String>,
    /// A file that holds one.
    pub(crate) file: Option<PathBuf>,
    /// The services that may be looked at, and nothing else.
    pub(crate) read_only: Option<Vec<String>>,
}
