//! Responses and errors in the formats of the two services: XML for STS, JSON for Secrets Manager.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use super::request::AwsService;

const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The result of a request that succeeded.
pub(super) enum ServiceResponse {
    /// The name of an STS action and the content of its result element.
    Xml(&'static str, String),
    Json(serde_json::Value),
}

/// The reason why a request failed. The message contains no secret.
#[derive(Debug)]
pub(super) struct AwsError {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl AwsError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The kinds of errors. Each service has its own error code for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorCode {
    MissingToken,
    IncompleteSignature,
    UnknownKey,
    SignatureMismatch,
    Expired,
    Denied,
    NotFound,
    Invalid,
    MalformedPolicy,
    UnknownAction,
    Malformed,
    TooLarge,
}

impl ErrorCode {
    /// Returns the error code of this service.
    pub(super) fn as_str(self, service: AwsService) -> &'static str {
        let (sts, secrets_manager) = self.codes();
        match service {
            AwsService::Sts => sts,
            AwsService::SecretsManager => secrets_manager,
        }
    }

    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::MissingToken => ("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
            Self::IncompleteSignature => ("IncompleteSignature", "IncompleteSignatureException"),
            Self::UnknownKey => ("InvalidClientTokenId", "UnrecognizedClientException"),
            Self::SignatureMismatch => ("SignatureDoesNotMatch", "InvalidSignatureException"),
            Self::Expired => ("ExpiredToken", "ExpiredTokenException"),
            Self::Denied => ("AccessDenied", "AccessDeniedException"),
            Self::NotFound => ("NoSuchEntity", "ResourceNotFoundException"),
            Self::Invalid => ("ValidationError", "ValidationException"),
            Self::MalformedPolicy => ("MalformedPolicyDocument", "MalformedPolicyDocumentException"),
            Self::UnknownAction => ("InvalidAction", "UnknownOperationException"),
            Self::Malformed => ("MalformedInput", "SerializationException"),
            Self::TooLarge => ("RequestEntityTooLarge", "RequestEntityTooLargeException"),
        }
    }

    fn http_status(self, service: AwsService) -> StatusCode {
        match (service, self) {
            (_, Self::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            (AwsService::SecretsManager, _) => StatusCode::BAD_REQUEST,
            (
                AwsService::Sts,
                Self::MissingToken
                | Self::UnknownKey
                | Self::SignatureMismatch
                | Self::Expired
                | Self::Denied,
            ) => StatusCode::FORBIDDEN,
            (AwsService::Sts, _) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Builds the HTTP response for a result.
pub(super) fn build_response(service: AwsService, outcome: Result<ServiceResponse, AwsError>) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let (status, body) = match outcome {
        Ok(ServiceResponse::Xml(action, result)) => {
            (StatusCode::OK, xml_result(action, &result, &request_id))
        }
        Ok(ServiceResponse::Json(value)) => (StatusCode::OK, value.to_string()),
        Err(error) => (error.code.http_status(service), error_body(service, &error, &request_id)),
    };
    let content_type = match service {
        AwsService::Sts => "text/xml",
        AwsService::SecretsManager => "application/x-amz-json-1.1",
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

fn error_body(service: AwsService, error: &AwsError, request_id: &str) -> String {
    let code = error.code.as_str(service);
    match service {
        AwsService::Sts => format!(
            "<ErrorResponse xmlns=\"{STS_NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>{}</Error>\
             <RequestId>{request_id}</RequestId></ErrorResponse>",
            element("Message", &error.message)
        ),
        AwsService::SecretsManager => json!({ "__type": code, "Message": error.message }).to_string(),
    }
}

/// Formats an XML element with escaped text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape_xml(text))
}

fn escape_xml(text: &str) -> Cow<'_, str> {
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
            // XML 1.0 cannot represent most control characters.
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
    fn element_with_markup_escapes_text() {
        assert_eq!(
            element("Message", "a<b>&\"'\u{0}"),
            "<Message>a&lt;b&gt;&amp;&quot;&apos;\u{fffd}</Message>"
        );
    }

    #[test]
    fn error_code_of_expired_keys_follows_the_service() {
        assert_eq!(ErrorCode::Expired.as_str(AwsService::Sts), "ExpiredToken");
        assert_eq!(ErrorCode::Expired.as_str(AwsService::SecretsManager), "ExpiredTokenException");
        assert_eq!(ErrorCode::Expired.http_status(AwsService::Sts), StatusCode::FORBIDDEN);
        assert_eq!(ErrorCode::Expired.http_status(AwsService::SecretsManager), StatusCode::BAD_REQUEST);
    }
}
