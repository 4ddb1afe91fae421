//! The keys of `_meta` that MCP itself uses.

use rmcp::model::ProtocolVersion;
use serde_json::{Map, Value, json};

/// Keys with this prefix describe the client or its protocol version.
const PROTOCOL_KEY_PREFIX: &str = "io.modelcontextprotocol/";

/// The version of the protocol of a modern request.
pub(crate) const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// What the client of a modern request supports.
pub(crate) const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The level of the log messages that the client of a modern request wants.
pub(crate) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The token under which a client wants to be notified of progress.
pub(crate) const PROGRESS_TOKEN: &str = "progressToken";

const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// Whether a key belongs to the protocol.
pub(crate) fn is_protocol_key(key: &str) -> bool {
    key.starts_with(PROTOCOL_KEY_PREFIX)
}

/// Returns what each request to a modern server says about valetkey, its client.
pub(crate) fn client_meta(capabilities: Map<String, Value>) -> Map<String, Value> {
    let entries = [
        (PROTOCOL_VERSION, json!(ProtocolVersion::V_2026_07_28)),
        (CLIENT_INFO, json!({"name": "valetkey", "version": env!("CARGO_PKG_VERSION")})),
        (CLIENT_CAPABILITIES, capabilities.into()),
    ];
    entries.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}
