//! `[access]`: what a session of a client begins with, and what a model may request beyond it.

use serde::Deserialize;

/// The scope that `serve` serves, and those that a model may request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessSettings {
    /// The scope of every call without a grant.
    pub(crate) floor: String,
    /// The scopes that a person may grant, each for its lifetime at most.
    #[serde(default)]
    pub(crate) requests: Vec<String>,
}
