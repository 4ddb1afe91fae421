//! `Handshake`: the MCP handshake that a child supports. A probe determines it once; it is reused at later starts.
//!
//! | attempt | first message | next attempt |
//! |---|---|---|
//! | probe | `server/discover` | `initialize` on the same connection if the child refuses or is silent for 2 s; on a new process if it exits |
//! | legacy | `initialize` with the newest version, because the client has a legacy protocol | probe |
//! | discover | `server/discover`, which the child supported before | `initialize` with the newest version |
//! | initialize | `initialize` with a version, newest first | the next older version |

use std::time::Duration;

use rmcp::model::{ErrorData, ProtocolVersion};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode};
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tokio_util::codec::FramedRead;

use futures_util::StreamExt;

use super::transport::{ServerOutput, ServerWriter};
use crate::json::{JsonLineDecoder, Line};
use crate::meta::client_meta;

/// The timeout of the probe, after which the child is sent `initialize` as well. A child that starts slowly reads both,
/// and its late response to the probe is skipped.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The request id of the probe. No request of rmcp has this id.
pub(super) const PROBE_ID: &str = "valetkey-probe";

/// The protocol versions with `initialize`, newest first.
const INITIALIZE_VERSIONS: [ProtocolVersion; 4] = [
    ProtocolVersion::V_2025_11_25,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2024_11_05,
];

/// How the connection to a child is initialized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// Send `server/discover`, and `initialize` if the child refuses it.
    Probe,
    /// Send `initialize` with the newest legacy version, and probe on a new process if that fails.
    Legacy,
    /// Send `server/discover`, which the child is known to support.
    Discover,
    /// Send `initialize` with the legacy version at this index of `INITIALIZE_VERSIONS`.
    Initialize(usize),
}

/// Why no connection was established.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The child refused the handshake with this message.
    Refused(String),
    /// The connection ended, or the child sent an unexpected message.
    Failed,
}

impl Handshake {
    /// Returns the handshake to try after `error`, or `None` when all have failed.
    pub(crate) fn fallback_after(self, error: &HandshakeError) -> Option<Self> {
        match (self, error) {
            // Some children exit on an unknown first message.
            (Self::Probe, HandshakeError::Failed) | (Self::Discover, _) => Some(Self::Initialize(0)),
            (Self::Probe, HandshakeError::Refused(_)) => Some(Self::Initialize(1)),
            (Self::Legacy, _) => Some(Self::Probe),
            (Self::Initialize(index), HandshakeError::Refused(_)) => {
                Some(Self::Initialize(index + 1)).filter(|_| index + 1 < INITIALIZE_VERSIONS.len())
            }
            (Self::Initialize(_), HandshakeError::Failed) => None,
        }
    }

    /// The protocol version that `initialize` offers.
    pub(super) fn initialize_version(self) -> ProtocolVersion {
        match self {
            Self::Initialize(index) => {
                INITIALIZE_VERSIONS.get(index).unwrap_or(&INITIALIZE_VERSIONS[0]).clone()
            }
            Self::Probe | Self::Legacy | Self::Discover => INITIALIZE_VERSIONS[0].clone(),
        }
    }

    pub(super) fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Probe | Self::Legacy | Self::Initialize(_) => ClientLifecycleMode::Initialize,
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

/// Probes whether a child supports the modern protocol. A child that does not respond within [`PROBE_TIMEOUT`] counts
/// as legacy.
pub(super) async fn probe_handshake(
    lines: &mut FramedRead<ServerOutput, JsonLineDecoder>,
    input: &ServerWriter,
) -> Handshake {
    let probe = json!({
        "jsonrpc": "2.0",
        "id": PROBE_ID,
        "method": "server/discover",
        "params": {"_meta": client_meta(Map::new())},
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
