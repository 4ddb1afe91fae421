//! `RemoteState`: what the requests of one connection share, and how each is sent.
//!
//! Each request has, in this order of precedence: the headers of its own (`Content-Type`, `Accept` and those of the modern
//! protocol), those of the protocol session, and those of the configuration. It is signed last, with the credentials of that
//! moment, so that a rotation, a change of account and a clear apply to the next request of an open connection.

use std::error::Error as StdError;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;
use valetkey_core::escape_control_chars;

use super::message::OutgoingMessage;
use super::{RemoteFailure, RemoteServer};
use crate::Redactor;

/// Limit on the text of a refusal that is read, in bytes.
const MAX_REFUSAL_SIZE: usize = 64 * 1024;
/// Limit on the text of a refusal that is shown, in bytes.
const MAX_SHOWN_BYTES: usize = 300;

const SESSION_ID: &str = "mcp-session-id";

/// The state of a connection.
pub(super) struct RemoteState {
    server: RemoteServer,
    failure: RemoteFailure,
    session: Mutex<ProtocolSession>,
}

/// What `initialize` has agreed on, with the legacy protocol.
#[derive(Default, Clone)]
struct ProtocolSession {
    id: Option<HeaderValue>,
    version: Option<HeaderValue>,
}

/// Why a request has no response.
pub(super) enum ExchangeError {
    /// The server no longer knows the session.
    SessionEnded,
    /// The server has responded with this error of the protocol.
    Refused(Value),
    /// The server has rejected the HTTP request, for this reason.
    Rejected(String),
    /// There is no response of the protocol, for this reason.
    Failed(String),
}

impl RemoteState {
    pub(super) fn new(server: RemoteServer, failure: RemoteFailure) -> Self {
        Self { server, failure, session: Mutex::default() }
    }

    /// Whether `initialize` was successful.
    pub(super) fn is_legacy(&self) -> bool {
        self.session.lock().version.is_some()
    }

    /// Whether the server has given the session an id.
    pub(super) fn has_session(&self) -> bool {
        self.session.lock().id.is_some()
    }

    /// Records what the response to `initialize` has agreed on.
    pub(super) fn record_session(&self, headers: &HeaderMap) {
        self.session.lock().id = headers.get(SESSION_ID).cloned();
    }

    /// Records the protocol version of an `initialize` response.
    pub(super) fn record_version(&self, response: &[u8]) {
        let response: Value = serde_json::from_slice(response).unwrap_or_default();
        let version = response["result"]["protocolVersion"].as_str();
        self.session.lock().version = version.and_then(|version| HeaderValue::from_str(version).ok());
    }

    /// Sends a message.
    pub(super) async fn post(&self, message: &OutgoingMessage) -> Result<Response<Incoming>, ExchangeError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(version) = message.modern_version() {
            insert_text(&mut headers, "mcp-protocol-version", Some(version));
            insert_text(&mut headers, "mcp-method", message.method());
            insert_text(&mut headers, "mcp-name", message.name().as_deref());
        }
        self.send(Method::POST, headers, message.body.clone(), message.is_probe()).await
    }

    /// Requests the events after `last_event_id`.
    pub(super) async fn listen(
        &self,
        last_event_id: Option<&str>,
    ) -> Result<Response<Incoming>, ExchangeError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        insert_text(&mut headers, "last-event-id", last_event_id);
        self.send(Method::GET, headers, Bytes::new(), true).await
    }

    /// Ends the session at the server.
    pub(super) async fn end_session(&self) {
        let _refused = self.send(Method::DELETE, HeaderMap::new(), Bytes::new(), true).await;
    }

    async fn send(
        &self,
        method: Method,
        own_headers: HeaderMap,
        body: Bytes,
        is_optional: bool,
    ) -> Result<Response<Incoming>, ExchangeError> {
        let session = self.session.lock().clone();
        let has_session = session.id.is_some();
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = self.server.url.uri().clone();
        let headers = request.headers_mut();
        *headers = self.server.headers.clone();
        session.id.into_iter().for_each(|id| drop(headers.insert(SESSION_ID, id)));
        session.version.into_iter().for_each(|version| drop(headers.insert("mcp-protocol-version", version)));
        headers.extend(own_headers);
        let (mut parts, ()) = request.into_parts();
        if let Some(signer) = &self.server.signer {
            let signed = signer.sign(&mut parts, &body).await;
            signed.map_err(|error| self.fail(format!("gets no signed request: {error}")))?;
        }
        let request = Request::from_parts(parts, Full::new(body));
        let response = self.server.client.send(request).await;
        let response =
            response.map_err(|error| self.fail(format!("cannot be reached: {}", root_cause(&error))))?;
        match response.status() {
            status if status.is_success() => {
                self.failure.set(None);
                Ok(response)
            }
            StatusCode::NOT_FOUND if has_session => Err(ExchangeError::SessionEnded),
            status => Err(self.refusal(status, response, is_optional).await),
        }
    }

    /// Returns the error of the protocol in the response, or one with the status.
    async fn refusal(
        &self,
        status: StatusCode,
        response: Response<Incoming>,
        is_optional: bool,
    ) -> ExchangeError {
        let body = Limited::new(response.into_body(), MAX_REFUSAL_SIZE).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        if message["error"]["code"].is_i64() && message["error"]["message"].is_string() {
            return ExchangeError::Refused(message["error"].clone());
        }
        let reason = match status {
            status if status.is_redirection() => {
                format!(
                    "responds with a redirect (HTTP {}), which is not followed; set its final `url`",
                    status.as_u16()
                )
            }
            status => {
                format!("responds with HTTP {}{}", status.as_u16(), quote(&self.server.redactor, &body))
            }
        };
        // Servers of another protocol refuse the probe, and those without such a request a GET or DELETE, with any status of
        // a client's error.
        let is_final = !is_optional
            || !status.is_client_error()
            || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if is_final {
            self.failure.set(Some(reason.clone()));
        }
        ExchangeError::Rejected(reason)
    }

    /// Records that the server cannot be used, for this reason.
    fn fail(&self, reason: String) -> ExchangeError {
        self.failure.set(Some(reason.clone()));
        ExchangeError::Failed(reason)
    }
}

fn insert_text(headers: &mut HeaderMap, name: &'static str, text: Option<&str>) {
    if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.insert(name, value);
    }
}

/// Returns the beginning of a text of the server. It is masked before it is cut: a part of a secret is not found.
fn quote(redactor: &Redactor, body: &[u8]) -> String {
    let text = redactor.mask(&String::from_utf8_lossy(body));
    let shown = escape_control_chars(text[..text.floor_char_boundary(MAX_SHOWN_BYTES)].trim()).to_string();
    if shown.is_empty() { shown } else { format!(": {shown}") }
}

/// Returns the innermost cause, which names the problem, such as a refused connection or an untrusted certificate.
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_cut_within_secret_does_not_contain_its_part() {
        let (redactor, secret) = (Redactor::default(), "canary-0123456789-0123456789");
        redactor.add_secret(secret);
        let body = format!("{}{secret}", "x".repeat(MAX_SHOWN_BYTES - secret.len() / 2));
        let quoted = quote(&redactor, body.as_bytes());
        assert!(quoted.contains("xxx") && !quoted.contains("canary"), "{quoted}");
    }
}
