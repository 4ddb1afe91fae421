//! `ParsedRequest`: the service, action and input of a request, before it is authenticated.

use axum::Form as AxumForm;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use serde_json::Value;

use super::response::{AwsError, ErrorCode};

const TARGET_HEADER: &str = "x-amz-target";
const TARGET_PREFIX: &str = "secretsmanager.";
const STS_VERSION: &str = "2011-06-15";

/// The services behind the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwsService {
    Sts,
    SecretsManager,
}

impl AwsService {
    /// Distinguishes the services by protocol: the JSON protocol of Secrets Manager names its target in a header, the
    /// query protocol of STS does not.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        if headers.contains_key(TARGET_HEADER) { Self::SecretsManager } else { Self::Sts }
    }

    /// Returns the service name in signatures.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::SecretsManager => "secretsmanager",
        }
    }
}

/// An action and its input.
pub(super) struct ParsedRequest {
    pub(super) action: String,
    pub(super) input: ActionInput,
}

/// The input of an action, as its protocol encodes it.
pub(super) enum ActionInput {
    Query(FormBody),
    Json(Value),
}

impl ParsedRequest {
    pub(super) async fn parse(parts: &Parts, body: &[u8]) -> Result<Self, AwsError> {
        match AwsService::from_headers(&parts.headers) {
            AwsService::Sts => Self::parse_query(parts, body).await,
            AwsService::SecretsManager => Self::parse_json(parts, body),
        }
    }

    /// Returns the role or secret that the action applies to.
    pub(super) fn resource(&self) -> Option<&str> {
        match &self.input {
            ActionInput::Query(form) => form.get("RoleArn"),
            ActionInput::Json(input) => input.get("SecretId").and_then(Value::as_str),
        }
    }

    async fn parse_query(parts: &Parts, body: &[u8]) -> Result<Self, AwsError> {
        let malformed = || AwsError::new(ErrorCode::Malformed, "The request is not a form sent by POST.");
        if parts.method != Method::POST {
            return Err(malformed());
        }
        let request = Request::from_parts(parts.clone(), Body::from(body.to_vec()));
        let AxumForm(fields) = AxumForm::from_request(request, &()).await.map_err(|_| malformed())?;
        let form = FormBody(fields);
        let action = form.get("Action").unwrap_or_default().to_owned();
        let version = form.get("Version").unwrap_or_default();
        if version != STS_VERSION {
            let message = format!("Could not find operation {action} for version {version}");
            return Err(AwsError::new(ErrorCode::UnknownAction, message));
        }
        Ok(Self { action, input: ActionInput::Query(form) })
    }

    fn parse_json(parts: &Parts, body: &[u8]) -> Result<Self, AwsError> {
        let target = parts.headers.get(TARGET_HEADER).and_then(|target| target.to_str().ok());
        let Some(action) = target.and_then(|target| target.strip_prefix(TARGET_PREFIX)) else {
            return Err(AwsError::new(
                ErrorCode::UnknownAction,
                "The target is not an operation of Secrets Manager.",
            ));
        };
        let malformed =
            || AwsError::new(ErrorCode::Malformed, "The request is not a JSON object sent by POST.");
        if parts.method != Method::POST {
            return Err(malformed());
        }
        let input: Value = serde_json::from_slice(body).map_err(|_| malformed())?;
        if !input.is_object() {
            return Err(malformed());
        }
        Ok(Self { action: action.to_owned(), input: ActionInput::Json(input) })
    }
}

/// The fields of a query-protocol request.
#[derive(Default)]
pub(super) struct FormBody(pub(super) Vec<(String, String)>);

impl FormBody {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns a field that the action requires.
    pub(super) fn get_required(&self, name: &str) -> Result<&str, AwsError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            AwsError::new(
                ErrorCode::Invalid,
                format!("1 validation error detected: Value at '{name}' must not be null"),
            )
        })
    }
}
