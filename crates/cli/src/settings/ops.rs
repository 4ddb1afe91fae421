//! `[ops]`: where an operator reads the state of a gateway.

use serde::Deserialize;

/// The operations listener of `serve`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpsSettings {
    /// An address such as `127.0.0.1:9464`, or the absolute path of a Unix socket.
    pub(crate) listen: Option<String>,
    /// SHA-256 digests of bearer tokens, in hexadecimal digits.
    #[serde(default)]
    pub(crate) token_sha256: Vec<String>,
    /// Whether `valetkey status` finds the gateway (default: true).
    pub(crate) socket: Option<bool>,
}
