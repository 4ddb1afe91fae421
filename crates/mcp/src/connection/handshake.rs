//! How a child speaks MCP: found out once by a probe, and remembered for its next start.

use std::time::Duration;

use rmcp::model::{ErrorData, ProtocolVersion};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode};
use serde_json::{Value, json};
use tokio::process::ChildStdout;
use tokio::time::timeout;
use tokio_util::codec::FramedRead;

use futures_util::StreamExt;

use super::raw::ChildWriter;
use crate::json::{JsonLineDecoder, Line};

/// How long a child may take for the probe before it is sent `initialize` as well. A child that is slow to start reads
/// both, and the later response to the probe is skipped.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The id of the probe, which no request of rmcp has.
pub(super) const PROBE_ID: &str = "valetkey-probe";

/// The protocol versions with `initialize`, newest first.
const INITIALIZE_VERSIONS: [ProtocolVersion; 4] = [
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2024_11_05,
];

/// How a child is greeted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// Send `server/discover` first, and `initialize` when that is refused.
    Probe,
    /// `server/discover`: the child is known to have it.
    Discover,
    /// `initialize` with one of the legacy versions, by position.
    Initialize(usize),
}

/// Why no connection was established.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The child refused the handshake with this message.
    Refused(String),
    /// The connection ended, or the child sent something else.
    Failed,
}

impl Handshake {
    /// What to try after `error`; `None` when nothing is left.
    pub(crate) fn fallback_after(self, error: &HandshakeError) -> Option<Self> {
        match (self, error) {
            // Some children end on a first message that they do not know.
            (Self::Probe, HandshakeError::Failed) | (Self::Discover, _) => Some(Self::Initialize(0)),
            (Self::Probe, HandshakeError::Refused(_)) => Some(Self::Initialize(1)),
            (Self::Initialize(index), HandshakeError::Refused(_)) => {
                Some(Self::Initialize(index + 1)).filter(|_| index + 1 < INITIALIZE_VERSIONS.len())
            }
            (Self::Initialize(_), HandshakeError::Failed) => None,
        }
    }

    /// The version that `initialize` offers.
    pub(super) fn initialize_version(self) -> ProtocolVersion {
        match self {
            Self::Initialize(index) => {
                INITIALIZE_VERSIONS.get(index).unwrap_or(&INITIALIZE_VERSIONS[0]).clone()
            }
            Self::Probe | Self::Discover => INITIALIZE_VERSIONS[0].clone(),
        }
    }

    pub(super) fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Probe | Self::Initialize(_) => ClientLifecycleMode::Initialize,
            Self::Discover => {
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
            }
        }
    }
}

impl From<ClientInitializeError> for HandshakeError {
    fn from(error: ClientInitializeError) -> Self {
        match error {
            ClientInitializeError::JsonRpcError(ErrorData { message, .. }) => {
                Self::Refused(message.into_owned())
            }
            ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
                let versions: Vec<_> = server_supported.iter().map(ToString::to_string).collect();
                Self::Refused(format!("it supports the protocol versions {}", versions.join(", ")))
            }
            _ => Self::Failed,
        }
    }
}

/// Probes a child for the modern protocol. Silence within [`PROBE_TIMEOUT`] counts as legacy.
pub(super) async fn probe_handshake(
    lines: &mut FramedRead<ChildStdout, JsonLineDecoder>,
    input: &ChildWriter,
) -> Handshake {
    let probe = json!({
        "jsonrpc": "2.0",
        "id": PROBE_ID,
        "method": "server/discover",
        "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": ProtocolVersion::V_2026_07_28,
            "io.modelcontextprotocol/clientInfo": {"name": "valetkey", "version": env!("CARGO_PKG_VERSION")},
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    });
    let response = async {
        input.send(&probe).await.ok()?;
        while let Some(Ok(line)) = lines.next().await {
            if let Line::Message(message) = line
                && message["id"] == PROBE_ID
            {
                return Some(message);
            }
        }
        None
    };
    match timeout(PROBE_TIMEOUT, response).await {
        Ok(Some(response)) if supports_discover(&response) => Handshake::Discover,
        _ => Handshake::Initialize(0),
    }
}

fn supports_discover(response: &Value) -> bool {
    let versions = response["result"]["supportedVersions"].as_array();
    versions.is_some_and(|versions| {
        versions.iter().any(|version| *version == json!(ProtocolVersion::V_2026_07_28))
    })
}
