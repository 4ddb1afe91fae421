//! `Refusal`: a request that the proxy does not forward, as an error in the form of the service's protocol.
//!
//! SDKs show the message to their user unchanged, and repeat only requests that were throttled or unavailable.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use valetkey_core::{Error, ErrorKind};

use crate::routes::{Protocol, RouteError};

/// The kind of a refusal, which determines status and code of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The placeholders or a rule do not permit the request.
    Denied,
    /// The signature is not the one that the placeholder's secret gives.
    Signature,
    /// The request cannot be forwarded as it is.
    Invalid,
    /// The same request may succeed later.
    Throttled,
    /// The credentials or the service cannot be reached.
    Unavailable,
}

/// The reason why a request is not forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RefusalKind::Invalid, message)
    }

    pub(crate) fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RefusalKind::Denied, message)
    }

    pub(crate) fn signature(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RefusalKind::Signature, message)
    }

    /// Returns the refusal as an error, for the audit log.
    pub(crate) fn to_error(&self) -> Error {
        let kind = match self.kind {
            RefusalKind::Denied | RefusalKind::Signature => ErrorKind::Denied,
            RefusalKind::Invalid => ErrorKind::Invalid,
            RefusalKind::Throttled => ErrorKind::Throttled,
            RefusalKind::Unavailable => ErrorKind::Unavailable,
        };
        Error::new(kind, self.message.clone())
    }

    fn status(&self) -> StatusCode {
        match self.kind {
            RefusalKind::Denied | RefusalKind::Signature => StatusCode::FORBIDDEN,
            RefusalKind::Invalid => StatusCode::BAD_REQUEST,
            RefusalKind::Throttled => StatusCode::TOO_MANY_REQUESTS,
            RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self, protocol: Protocol) -> &'static str {
        let is_json = matches!(protocol, Protocol::Json | Protocol::RestJson | Protocol::RpcV2Cbor);
        match self.kind {
            RefusalKind::Denied if is_json => "AccessDeniedException",
            RefusalKind::Denied => "AccessDenied",
            RefusalKind::Signature if is_json => "InvalidSignatureException",
            RefusalKind::Signature => "SignatureDoesNotMatch",
            RefusalKind::Invalid if is_json => "ValidationException",
            RefusalKind::Invalid => "InvalidRequest",
            RefusalKind::Throttled => "ThrottlingException",
            RefusalKind::Unavailable => "ServiceUnavailable",
        }
    }

    /// Builds the response in the form of `protocol`.
    pub(crate) fn to_response(&self, protocol: Protocol) -> Response<Full<Bytes>> {
        let (code, message) = (self.code(protocol), format!("valetkey: {}", self.message));
        let (content_type, body) = match protocol {
            Protocol::Json | Protocol::RestJson => {
                let body = serde_json::json!({"__type": code, "message": message}).to_string();
                ("application/x-amz-json-1.1", body.into_bytes())
            }
            Protocol::RpcV2Cbor => ("application/cbor", cbor_error(code, &message)),
            Protocol::RestXml | Protocol::Query | Protocol::Ec2 => {
                ("text/xml", xml_error(protocol, code, &message).into_bytes())
            }
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
        if protocol == Protocol::RpcV2Cbor {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        response
    }
}

impl From<RouteError> for Refusal {
    fn from(error: RouteError) -> Self {
        Self::denied(error.to_string())
    }
}

/// An account without usable credentials. Only a transient error makes SDKs try again.
impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let kind = if error.is_transient() { RefusalKind::Unavailable } else { RefusalKind::Denied };
        Self::new(kind, error.to_string())
    }
}

fn xml_error(protocol: Protocol, code: &str, message: &str) -> String {
    let message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let error = format!("<Code>{code}</Code><Message>{message}</Message>");
    match protocol {
        Protocol::Ec2 => {
            format!(
                "<Response><Errors><Error>{error}</Error></Errors><RequestID>valetkey</RequestID></Response>"
            )
        }
        Protocol::RestXml => format!("<Error>{error}<RequestId>valetkey</RequestId></Error>"),
        _ => format!(
            "<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>valetkey</RequestId></ErrorResponse>"
        ),
    }
}

/// Encodes a map of two texts.
fn cbor_error(code: &str, message: &str) -> Vec<u8> {
    let mut body = vec![0xa2];
    for text in ["__type", code, "message", message] {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        body.push(0x79);
        body.extend(length.to_be_bytes());
        body.extend(text.as_bytes().iter().take(usize::from(length)));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_error_message_is_escaped() {
        let body = xml_error(Protocol::RestXml, "AccessDenied", "a <b> & c");
        assert!(body.contains("<Message>a &lt;b&gt; &amp; c</Message>"), "{body}");
    }

    #[test]
    fn cbor_error_is_map_of_two_texts() {
        let body = cbor_error("Code", "m");
        assert_eq!(body, b"\xa2\x79\x00\x06__type\x79\x00\x04Code\x79\x00\x07message\x79\x00\x01m");
    }

    #[test]
    fn code_of_denial_is_final_for_sdks() {
        let refusal = Refusal::denied("no");
        assert_eq!(refusal.to_response(Protocol::Json).status(), StatusCode::FORBIDDEN);
        assert_eq!(
            (refusal.code(Protocol::Json), refusal.code(Protocol::Query)),
            ("AccessDeniedException", "AccessDenied")
        );
    }
}
