//! `OutgoingMessage`: a message to a server, and the parts of it that its HTTP request repeats.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::meta::PROTOCOL_VERSION;

/// A message as it is sent.
pub(super) struct OutgoingMessage {
    pub(super) body: Bytes,
    parts: MessageParts,
}

#[derive(Deserialize, Default)]
struct MessageParts {
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: MessageParams,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MessageParams {
    name: Option<Value>,
    uri: Option<Value>,
    task_id: Option<Value>,
    request_id: Option<Value>,
    #[serde(rename = "_meta")]
    meta: Option<Value>,
}

impl OutgoingMessage {
    /// Reads a line, which this process has written.
    pub(super) fn parse(line: String) -> Option<Self> {
        let parts = serde_json::from_str(&line).ok()?;
        Some(Self { body: line.into(), parts })
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.parts.method.as_deref()
    }

    /// Returns the id of a request.
    pub(super) fn request_id(&self) -> Option<&Value> {
        self.parts.id.as_ref().filter(|_| self.parts.method.is_some())
    }

    /// Returns the id of the request that this notification cancels.
    pub(super) fn cancelled_id(&self) -> Option<&Value> {
        self.parts.params.request_id.as_ref().filter(|_| self.method() == Some("notifications/cancelled"))
    }

    /// Whether this begins the handshake, which servers of another protocol refuse in various ways.
    pub(super) fn is_probe(&self) -> bool {
        self.method() == Some("server/discover")
    }

    /// Returns the protocol version of a modern request, which states it in each message.
    pub(super) fn modern_version(&self) -> Option<&str> {
        self.parts.params.meta.as_ref()?.get(PROTOCOL_VERSION)?.as_str()
    }

    /// Returns the value of the header `Mcp-Name`.
    pub(super) fn name(&self) -> Option<String> {
        let params = &self.parts.params;
        let name = match self.method()? {
            "tools/call" | "prompts/get" => &params.name,
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => &params.uri,
            "tasks/get" | "tasks/update" | "tasks/cancel" => &params.task_id,
            _ => return None,
        };
        name.as_ref()?.as_str().map(encode)
    }

    /// Returns the response to this request that reports an error. Its reason is not that of the server.
    pub(super) fn error_response(&self, code: i32, message: &str) -> Option<String> {
        let error = json!({"code": code, "message": message});
        Some(json!({"jsonrpc": "2.0", "id": self.request_id()?, "error": error}).to_string())
    }
}

/// Wraps a text in base64 that a header cannot contain as it is.
fn encode(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text;
    if is_plain && !(text.starts_with("=?base64?") && text.ends_with("?=")) {
        return text.to_owned();
    }
    format!("=?base64?{}?=", BASE64_STANDARD.encode(text))
}

/// The parts of a message of a server that decide where it belongs.
#[derive(Deserialize)]
pub(super) struct IncomingParts {
    id: Option<Value>,
    method: Option<IgnoredAny>,
}

impl IncomingParts {
    /// Whether this message is the response to the request. A malformed one is none.
    pub(super) fn responds_to(message: &[u8], id: &Value) -> bool {
        let parts = serde_json::from_slice::<Self>(message);
        parts.is_ok_and(|parts| parts.method.is_none() && parts.id.as_ref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outgoing_message_names_what_headers_repeat() {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "größe", "_meta": {PROTOCOL_VERSION: "2026-07-28"},
        }});
        let call = OutgoingMessage::parse(call.to_string()).unwrap();
        assert_eq!(call.modern_version(), Some("2026-07-28"));
        assert_eq!(call.name().as_deref(), Some("=?base64?Z3LDtsOfZQ==?="));
        let plain =
            OutgoingMessage::parse(r#"{"id":"x","method":"prompts/get","params":{"name":"a b"}}"#.into());
        assert_eq!(plain.unwrap().name().as_deref(), Some("a b"));
        let response = OutgoingMessage::parse(r#"{"id":1,"result":{}}"#.into()).unwrap();
        assert!(response.request_id().is_none() && response.error_response(1, "x").is_none());
    }
}
