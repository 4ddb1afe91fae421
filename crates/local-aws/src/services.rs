//! `Services`: the state of the server, and the handling of a request.

#[cfg(test)]
mod tests;

use std::io;

use std::time::{Duration, SystemTime};

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::key_store::KeyStore;
use super::request::{ActionInput, AwsService, ParsedRequest};
use super::request_log::{RequestLog, RequestOutcome, RequestRecord};
use super::response::{AwsError, ErrorCode, ServiceResponse, build_response};
use super::role::Role;
use super::secret_store::SecretStore;
use super::spec::LocalAwsBuilder;
use super::sts;

const MAX_BODY_BYTES: usize = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Services {
    pub(super) roles: Vec<Role>,
    pub(super) keys: Mutex<KeyStore>,
    secrets: Mutex<SecretStore>,
    log: Mutex<RequestLog>,
}

impl Services {
    pub(super) fn build(spec: LocalAwsBuilder) -> io::Result<Self> {
        let LocalAwsBuilder { users, roles, secrets } = spec;
        Ok(Self {
            roles: roles.into_iter().map(Role::try_from).collect::<io::Result<_>>()?,
            keys: Mutex::new(KeyStore::from_users(users)?),
            secrets: Mutex::new(SecretStore::from_specs(secrets)?),
            log: Mutex::default(),
        })
    }

    /// Reads, authenticates, dispatches and records one request.
    pub(super) async fn respond(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let service = AwsService::from_headers(&parts.headers);
        let mut record = RequestRecord::from_headers(service, &parts.headers);
        let outcome = match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
            Ok(Ok(body)) => self.dispatch(&parts, &body, &mut record).await,
            _ => Err(AwsError::new(
                ErrorCode::TooLarge,
                "The request body is too large, too slow or was cut off.",
            )),
        };
        if let Err(error) = &outcome {
            record.outcome = RequestOutcome::Refused(error.code.as_str(service));
        }
        lock_ignoring_poison(&self.log).push(record);
        build_response(service, outcome)
    }

    async fn dispatch(
        &self,
        parts: &Parts,
        body: &[u8],
        record: &mut RequestRecord,
    ) -> Result<ServiceResponse, AwsError> {
        let request = ParsedRequest::parse(parts, body).await;
        if let Ok(request) = &request {
            record.set_request(request);
        }
        // As in AWS, authentication errors take precedence over syntax errors.
        let caller = lock_ignoring_poison(&self.keys).authenticate(parts, body)?;
        record.caller = Some(caller.arn.clone());
        let request = request?;
        match &request.input {
            ActionInput::Query(form) => sts::dispatch(self, &caller, &request.action, form),
            ActionInput::Json(input) => {
                lock_ignoring_poison(&self.secrets).dispatch(&caller, &request.action, input)
            }
        }
    }

    pub(super) fn requests(&self) -> Vec<RequestRecord> {
        lock_ignoring_poison(&self.log).records()
    }

    pub(super) fn secret_arn(&self, account: &str, name: &str) -> Option<String> {
        lock_ignoring_poison(&self.secrets).find_arn(account, name)
    }

    pub(super) fn rotate_secret(&self, name_or_arn: &str, value: &str) -> Option<String> {
        lock_ignoring_poison(&self.secrets).rotate(name_or_arn, value)
    }

    pub(super) fn advance_expiry(&self, by: Duration) {
        lock_ignoring_poison(&self.keys).advance_expiry(by);
    }
}

/// Locks a mutex even if it is poisoned: each holder changes the value in one step, so the value is consistent.
pub(super) fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[allow(clippy::disallowed_methods, reason = "a server has a clock of its own, apart from its clients'")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

pub(super) fn invalid_spec(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.into())
}
