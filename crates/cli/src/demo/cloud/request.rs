//! What a request asks for, and of which service, before anybody knows who asks.

use axum::Form as AxumForm;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use serde_json::Value;

use super::answer::{Fault, Refusal};

const TARGET: &str = "x-amz-target";
const TARGET_PREFIX: &str = "secretsmanager.";
const STS_VERSION: &str = "2011-06-15";

/// The two services behind the one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Sts,
    SecretsManager,
}

impl Service {
    /// Only the JSON protocol names its target in a header.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(TARGET) { Self::SecretsManager } else { Self::Sts }
    }

    /// The name that requests to this service are signed for.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::SecretsManager => "secretsmanager",
        }
    }
}

/// An action and its input.
pub(super) struct Asked {
    pub(super) action: String,
    pub(super) input: Input,
}

/// The input of an action, in the words of its protocol.
pub(super) enum Input {
    Query(Form),
    Json(Value),
}

impl Asked {
    pub(super) async fn read(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        match Service::of(&parts.headers) {
            Service::Sts => Self::query(parts, body).await,
            Service::SecretsManager => Self::json(parts, body),
        }
    }

    /// The role or secret it is about.
    pub(super) fn resource(&self) -> Option<&str> {
        match &self.input {
            Input::Query(form) => form.get("RoleArn"),
            Input::Json(input) => input.get("SecretId").and_then(Value::as_str),
        }
    }

    async fn query(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        let malformed = || Refusal::new(Fault::Malformed, "The request is not a form that was posted.");
        if parts.method != Method::POST {
            return Err(malformed());
        }
        let request = Request::from_parts(parts.clone(), Body::from(body.to_vec()));
        let AxumForm(fields) = AxumForm::from_request(request, &()).await.map_err(|_| malformed())?;
        let form = Form(fields);
        let action = form.get("Action").unwrap_or_default().to_owned();
        let version = form.get("Version").unwrap_or_default();
        if version != STS_VERSION {
            let message = format!("Could not find operation {action} for version {version}");
            return Err(Refusal::new(Fault::UnknownAction, message));
        }
        Ok(Self { action, input: Input::Query(form) })
    }

    fn json(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        let target = parts.headers.get(TARGET).and_then(|target| target.to_str().ok());
        let Some(action) = target.and_then(|target| target.strip_prefix(TARGET_PREFIX)) else {
            return Err(Refusal::new(
                Fault::UnknownAction,
                "This is Secrets Manager; the target is of another service.",
            ));
        };
        let malformed =
            || Refusal::new(Fault::Malformed, "The request is not a JSON object that was posted.");
        if parts.method != Method::POST {
            return Err(malformed());
        }
        let input: Value = serde_json::from_slice(body).map_err(|_| malformed())?;
        if !input.is_object() {
            return Err(malformed());
        }
        Ok(Self { action: action.to_owned(), input: Input::Json(input) })
    }
}

/// The fields of a query-protocol request.
#[derive(Default)]
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field which the action can not do without.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            Refusal::new(
                Fault::Invalid,
                format!("1 validation error detected: Value at '{name}' must not be null"),
            )
        })
    }
}
