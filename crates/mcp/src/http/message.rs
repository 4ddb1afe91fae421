//! `Posted`: the message of a POST request, and the protocol era that it belongs to.

use hyper::header::{HeaderMap, HeaderName};
use rmcp::model::{ClientRequest, GetMeta, JsonRpcMessage, ProtocolVersion};
use serde::Deserialize;
use serde_json::{Value, json};

use super::exchange::Incoming;
use super::response::{
    HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, RpcError, UNSUPPORTED_VERSION,
};
use crate::gateway::{DirectCall, attach_params};
use crate::json::read_document;
use crate::meta;

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// A message as JSON and as rmcp reads it.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) value: Value,
    pub(super) message: Incoming,
}

/// How a message is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// Opens a session.
    Initialize,
    /// Belongs to a session, up to revision 2025-11-25.
    Legacy,
    /// Is complete in itself, from revision 2026-07-28.
    Modern,
}

impl Posted {
    /// Parses a body. The error has the id of the request, if it is known.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Box<(RpcError, Option<Value>)>> {
        let refuse = |code, message, id| Box::new((RpcError::bad_request(code, message), id));
        let unreadable = "the body is not a JSON document that can be read";
        let value = read_document(body).map_err(|_| refuse(PARSE_ERROR, unreadable, None))?;
        if value.is_array() {
            let batch = "batches are not supported; send one message";
            return Err(refuse(INVALID_REQUEST, batch, None));
        }
        let id = value.get("id").filter(|id| id.is_string() || id.is_number()).cloned();
        let decoded = DirectCall::message(&value).map_or_else(|| Incoming::deserialize(&value), Ok);
        match decoded {
            Ok(message) => Ok(Self { value, message }),
            Err(_) => Err(refuse(INVALID_REQUEST, "the message is malformed", id)),
        }
    }

    /// Takes the call of a legacy client that runs without rmcp.
    pub(super) fn take_call(&mut self) -> Option<DirectCall> {
        DirectCall::take(&mut self.value)
    }

    /// Returns the message for rmcp, with the parameters as they were sent.
    pub(super) fn into_message(mut self) -> Incoming {
        attach_params(&mut self.message, self.value.get_mut("params").map(Value::take));
        self.message
    }

    /// Returns the id of a request.
    pub(super) fn id(&self) -> Option<Value> {
        self.value.get("id").filter(|id| !id.is_null()).cloned()
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.value.get("method")?.as_str()
    }

    pub(super) fn params(&self) -> Option<&Value> {
        self.value.get("params")
    }

    /// Whether the metadata that the modern protocol requires is incomplete, which is the client's error.
    pub(super) fn lacks_modern_metadata(&self) -> bool {
        let JsonRpcMessage::Request(request) = &self.message else { return false };
        !request.request.get_meta().missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
    }

    fn meta_version(&self) -> Option<&str> {
        self.params()?.get("_meta")?.get(meta::PROTOCOL_VERSION)?.as_str()
    }

    /// Determines the era from the version in the header and in the metadata, which must be equal.
    pub(super) fn era(&self, headers: &HeaderMap) -> Result<Era, RpcError> {
        let header = version_header(headers)?;
        if self.method() == Some("initialize") && self.is_request() {
            return self.check_initialize(header).map(|()| Era::Initialize);
        }
        let meta = self.meta_version();
        if meta.is_none() {
            check_known(header)?;
        }
        if !self.is_request() {
            return Ok(if header.is_some_and(is_modern) { Era::Modern } else { Era::Legacy });
        }
        let is_discover = self.method() == Some("server/discover");
        match (header, meta) {
            (None, Some(_)) => {
                let missing = "the header `MCP-Protocol-Version` is missing";
                Err(RpcError::bad_request(HEADER_MISMATCH, missing))
            }
            (Some(header), Some(meta)) if header != meta => {
                let differs = "the header `MCP-Protocol-Version` differs from the version in `_meta`";
                Err(RpcError::bad_request(HEADER_MISMATCH, differs))
            }
            (_, Some(meta)) => {
                let is_modern = is_modern(meta) || !self.lacks_modern_metadata();
                Ok(if is_modern { Era::Modern } else { Era::Legacy })
            }
            (header, None) if is_discover || header.is_some_and(is_modern) => {
                let missing = "`_meta` lacks the version and the capabilities of the client";
                Err(RpcError::bad_request(INVALID_PARAMS, missing))
            }
            _ => Ok(Era::Legacy),
        }
    }

    fn is_request(&self) -> bool {
        matches!(self.message, JsonRpcMessage::Request(_))
    }

    fn check_initialize(&self, header: Option<&str>) -> Result<(), RpcError> {
        let is_readable = match &self.message {
            JsonRpcMessage::Request(request) => {
                matches!(request.request, ClientRequest::InitializeRequest(_))
            }
            _ => false,
        };
        if !is_readable {
            // The modern protocol has no such method.
            let is_modern = header.or(self.meta_version()).is_some_and(is_modern);
            return Err(if is_modern {
                RpcError::method_not_found()
            } else {
                RpcError::bad_request(INVALID_PARAMS, "the parameters of `initialize` are malformed")
            });
        }
        let body = self.params().and_then(|params| params.get("protocolVersion")).and_then(Value::as_str);
        if header.is_some() && header != body {
            let differs = "the header `MCP-Protocol-Version` differs from the version in the parameters";
            return Err(RpcError::bad_request(INVALID_REQUEST, differs));
        }
        Ok(())
    }
}

/// Whether a version is modern. Versions are dates in ISO 8601, which compare as text.
fn is_modern(version: &str) -> bool {
    version >= ProtocolVersion::V_2026_07_28.as_str()
}

/// Fails if the version of a request that has no other is unknown.
pub(super) fn check_known(version: Option<&str>) -> Result<(), RpcError> {
    let known = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str);
    match version {
        Some(version) if known.clone().all(|known| known != version) => {
            let mut error = RpcError::bad_request(UNSUPPORTED_VERSION, "unsupported protocol version");
            error.data = Some(json!({"supported": known.collect::<Vec<_>>()}));
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Returns the version in the header, which may occur once.
pub(super) fn version_header(headers: &HeaderMap) -> Result<Option<&str>, RpcError> {
    let mut values = headers.get_all(PROTOCOL_VERSION).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(version)), None) => Ok(Some(version)),
        _ => {
            let malformed = "the header `MCP-Protocol-Version` is malformed";
            Err(RpcError::bad_request(HEADER_MISMATCH, malformed))
        }
    }
}
