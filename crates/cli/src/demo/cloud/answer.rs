//! Answers and refusals in the two shapes the services speak: XML for STS, JSON for Secrets Manager.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use super::request::Service;

pub(super) const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// What a served call answers.
pub(super) enum Answer {
    /// The name of an STS action and the inside of its result element.
    Xml(&'static str, String),
    Json(serde_json::Value),
}

/// Why a call is refused, and what to tell the caller: never anything secret.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) fault: Fault,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }
}

/// The kinds of refusal; each service has its own word for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Unauthenticated,
    IncompleteSignature,
    UnknownKey,
    BadSignature,
    Expired,
    Denied,
    NotFound,
    Invalid,
    BadPolicy,
    UnknownAction,
    Malformed,
    TooLarge,
}

impl Fault {
    /// The error code this service uses.
    pub(super) fn code(self, service: Service) -> &'static str {
        let (sts, secrets_manager) = self.codes();
        match service {
            Service::Sts => sts,
            Service::SecretsManager => secrets_manager,
        }
    }

    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Unauthenticated => ("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
            Self::IncompleteSignature => ("IncompleteSignature", "IncompleteSignatureException"),
            Self::UnknownKey => ("InvalidClientTokenId", "UnrecognizedClientException"),
            Self::BadSignature => ("SignatureDoesNotMatch", "InvalidSignatureException"),
            Self::Expired => ("ExpiredToken", "ExpiredTokenException"),
            Self::Denied => ("AccessDenied", "AccessDeniedException"),
            Self::NotFound => ("NoSuchEntity", "ResourceNotFoundException"),
            Self::Invalid => ("ValidationError", "ValidationException"),
            Self::BadPolicy => ("MalformedPolicyDocument", "MalformedPolicyDocumentException"),
            Self::UnknownAction => ("InvalidAction", "UnknownOperationException"),
            Self::Malformed => ("MalformedInput", "SerializationException"),
            Self::TooLarge => ("RequestEntityTooLarge", "RequestEntityTooLargeException"),
        }
    }

    fn status(self, service: Service) -> StatusCode {
        match (service, self) {
            (_, Self::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            (Service::SecretsManager, _) => StatusCode::BAD_REQUEST,
            (
                Service::Sts,
                Self::Unauthenticated | Self::UnknownKey | Self::BadSignature | Self::Expired | Self::Denied,
            ) => StatusCode::FORBIDDEN,
            (Service::Sts, _) => StatusCode::BAD_REQUEST,
        }
    }
}

/// The response of a service to what came of a call.
pub(super) fn render(service: Service, outcome: Result<Answer, Refusal>) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let (status, body) = match outcome {
        Ok(Answer::Xml(action, result)) => (StatusCode::OK, xml_result(action, &result, &request_id)),
        Ok(Answer::Json(value)) => (StatusCode::OK, value.to_string()),
        Err(refusal) => (refusal.fault.status(service), refused(service, &refusal, &request_id)),
    };
    let content_type = match service {
        Service::Sts => "text/xml",
        Service::SecretsManager => "application/x-amz-json-1.1",
    };
    let mut response = (status, Body::from(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

fn xml_result(action: &str, result: &str, request_id: &str) -> String {
    format!(
        "<{action}Response xmlns=\"{STS_NAMESPACE}\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    )
}

fn refused(service: Service, refusal: &Refusal, request_id: &str) -> String {
    let code = refusal.fault.code(service);
    match service {
        Service::Sts => format!(
            "<ErrorResponse xmlns=\"{STS_NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>{}</Error>\
             <RequestId>{request_id}</RequestId></ErrorResponse>",
            element("Message", &refusal.message)
        ),
        Service::SecretsManager => json!({ "__type": code, "Message": refusal.message }).to_string(),
    }
}

/// One XML element around escaped text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| matches!(c, '&' | '<' | '>' | '"' | '\'') || c.is_control()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // XML 1.0 has no way to write most control characters.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(
            element("Message", "a<b>&\"'\u{0}"),
            "<Message>a&lt;b&gt;&amp;&quot;&apos;\u{fffd}</Message>"
        );
    }

    #[test]
    fn each_service_has_its_own_word_for_an_expired_key() {
        assert_eq!(Fault::Expired.code(Service::Sts), "ExpiredToken");
        assert_eq!(Fault::Expired.code(Service::SecretsManager), "ExpiredTokenException");
        assert_eq!(Fault::Expired.status(Service::Sts), StatusCode::FORBIDDEN);
        assert_eq!(Fault::Expired.status(Service::SecretsManager), StatusCode::BAD_REQUEST);
    }
}
