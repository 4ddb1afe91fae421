//! The responses of the gateway. Their messages are fixed texts, which repeat nothing from a request.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::encoded_list::encode;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type HttpResponse = Response<Body>;

/// The JSON-RPC error code for a protocol session that does not exist.
pub(super) const SESSION_NOT_FOUND: i32 = -32001;
pub(super) const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const HEADER_MISMATCH: i32 = -32020;
pub(super) const UNSUPPORTED_VERSION: i32 = -32022;
const BUSY: i32 = -32603;

/// Returns a response with this content. No cache may store it.
pub(super) fn with_content(
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> HttpResponse {
    let mut response = Response::new(Full::new(content.into()).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn text(status: StatusCode, message: &'static str) -> HttpResponse {
    with_content(status, "text/plain; charset=utf-8", message)
}

pub(super) fn accepted() -> HttpResponse {
    text(StatusCode::ACCEPTED, "")
}

/// Returns a JSON response. Numbers of any length are written unchanged.
pub(super) fn json_content(status: StatusCode, value: &impl Serialize) -> HttpResponse {
    encoded_json(status, encode(value))
}

/// Returns a JSON response with this text.
pub(super) fn encoded_json(status: StatusCode, content: serde_json::Result<Vec<u8>>) -> HttpResponse {
    match content {
        Ok(content) => with_content(status, "application/json", content),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the result cannot be written as JSON"),
    }
}

/// A JSON-RPC error response.
#[derive(Debug, Clone)]
pub(super) struct RpcError {
    pub(super) status: StatusCode,
    pub(super) code: i32,
    pub(super) message: &'static str,
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn bad_request(code: i32, message: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message, data: None }
    }

    pub(super) fn method_not_found() -> Self {
        Self { status: StatusCode::NOT_FOUND, code: METHOD_NOT_FOUND, message: "no such method", data: None }
    }

    /// Returns the response to the request with this id, or to a message without an id.
    pub(super) fn into_response(self, id: Option<Value>) -> HttpResponse {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = self.data {
            error["data"] = data;
        }
        json_content(self.status, &json!({"jsonrpc": "2.0", "id": id, "error": error}))
    }
}

pub(super) fn session_not_found(id: Option<Value>) -> HttpResponse {
    let message = "there is no such session; initialize a new one";
    RpcError { status: StatusCode::NOT_FOUND, code: SESSION_NOT_FOUND, message, data: None }.into_response(id)
}

/// Returns a refusal for a caller that is over one of its limits.
pub(super) fn too_many(message: &'static str, id: Option<Value>) -> HttpResponse {
    let error = RpcError { status: StatusCode::TOO_MANY_REQUESTS, code: BUSY, message, data: None };
    let mut response = error.into_response(id);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Returns the refusal of a request over the limit on requests in progress.
pub(super) fn too_many_requests(id: Option<Value>) -> HttpResponse {
    too_many("too many requests and streams are in progress", id)
}

pub(super) fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
