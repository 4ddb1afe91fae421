//! `RequestFailure`: why a request to a server has no result, and the errors that callers get; `RestartBackoff`: delays
//! the starts of a server that keeps failing.

use std::time::Duration;

use tokio::time::Instant;
use valetkey_core::{Error, ErrorKind, Result, SessionAccount};

use super::ServerShared;
use super::running::CallGuard;
use crate::client::Refusal;
use crate::connection::{RefusedRequest, RequestError};

const METHOD_NOT_FOUND: i32 = -32601;
const BASE_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(60);
/// From this number of consecutive failures on, the delay is `MAX_DELAY`.
const MAX_DELAY_AFTER_FAILURES: u32 = 5;

/// Why a request to a server has no result.
#[derive(Debug)]
pub(crate) enum RequestFailure {
    /// The server refused it with this protocol error. Texts are masked.
    Refused(RefusedRequest),
    Failed(Error),
}

impl RequestFailure {
    pub(crate) fn method_not_found(message: &str) -> Self {
        let message = message.to_owned();
        Self::Refused(RefusedRequest { code: METHOD_NOT_FOUND, message, data: None })
    }

    /// Returns the error for a caller that is no MCP client. The request was for this server.
    pub(crate) fn into_error(self, server: &str) -> Error {
        match self {
            Self::Refused(refused) => refusal_error(&refused).with_provider(server.to_owned()),
            Self::Failed(error) => error,
        }
    }
}

impl From<RefusedRequest> for RequestFailure {
    fn from(refused: RefusedRequest) -> Self {
        Self::Refused(refused)
    }
}

impl From<Refusal> for RequestFailure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<Error> for RequestFailure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl ServerShared {
    /// Converts the failure of a request. A protocol error of the server stays one.
    pub(super) async fn to_failure(&self, error: RequestError, call: &CallGuard) -> RequestFailure {
        match error {
            RequestError::Refused(refused) => RequestFailure::Refused(self.mask_refusal(refused)),
            error => self.to_error(error, call).await.into(),
        }
    }

    /// Converts the failure of a request into the error that a caller gets. Texts of the server are masked first,
    /// because a server may repeat its environment in an error message.
    pub(super) async fn to_error(&self, error: RequestError, call: &CallGuard) -> Error {
        let error = match error {
            RequestError::Refused(refused) => refusal_error(&self.mask_refusal(refused)),
            RequestError::Unreadable(reason) => Error::new(ErrorKind::Internal, reason)
                .with_next_step("the server has an error; other tools and arguments may work"),
            RequestError::Unreachable(reason) => {
                Error::new(ErrorKind::Unavailable, self.spawn_config.redactor.mask(&reason))
                    .with_next_step("call again later, or check its `url` and `headers`")
            }
            RequestError::Cancelled => cancelled_error(),
            RequestError::TimedOut(limit) => {
                let message = format!("the server did not answer within {} s", limit.as_secs_f32());
                Error::new(ErrorKind::TimedOut, message)
            }
            RequestError::ListTooLarge => {
                Error::new(ErrorKind::Invalid, "the server's list has no end, or is too large")
            }
            RequestError::Disconnected => {
                let message = format!("the server ended during the call{}", call.failure_clause().await);
                Error::new(ErrorKind::Unavailable, message)
                    .with_next_step("call again; the server is started anew")
            }
        };
        error.with_provider(self.name.clone())
    }

    /// Masks the texts of a protocol error.
    fn mask_refusal(&self, mut refused: RefusedRequest) -> RefusedRequest {
        let redactor = &self.spawn_config.redactor;
        refused.message = redactor.mask(&refused.message);
        refused.data.iter_mut().for_each(|data| redactor.mask_json(data));
        refused
    }
}

fn refusal_error(RefusedRequest { code, message, .. }: &RefusedRequest) -> Error {
    Error::new(ErrorKind::Invalid, format!("the server refused the request (code {code}): {message}"))
}

pub(crate) fn cancelled_error() -> Error {
    Error::new(ErrorKind::TimedOut, "the call was cancelled")
}

/// Adds the next step for missing credentials.
///
/// A tool can provide them if the session, or the source account of a role, has no provider. If a provider has no
/// credentials, only the person who configured it can help: keys set by a model would belong to another account.
pub(crate) fn with_set_credentials_hint(error: Error, account: &SessionAccount) -> Error {
    if account.is_cleared() {
        return error.with_next_step(
            "call `set_aws_credentials_context`, or `refresh_aws_credentials` for an account that is configured; then \
             call this again",
        );
    }
    let root = root_cause(&error);
    if !matches!(root.kind(), ErrorKind::NotConfigured | ErrorKind::Expired) {
        return error;
    }
    let step = if root.provider().is_none() {
        "call `set_aws_credentials_context` or `extract_and_set_credentials_from_stack_job`, then call this again"
    } else {
        "the person who configured this account must give or renew its credentials"
    };
    error.with_next_step(step)
}

/// Returns the last [`Error`] in the chain of sources. For a role, it is the error of its source account.
fn root_cause(error: &Error) -> &Error {
    let mut root = error;
    while let Some(cause) = std::error::Error::source(root).and_then(|cause| cause.downcast_ref()) {
        root = cause;
    }
    root
}

/// Counts consecutive failures and delays the next start: no delay after the first failure, 0.5 s after the second,
/// twice the previous delay after the third and fourth, and 60 s from the fifth on.
#[derive(Debug, Default)]
pub(super) struct RestartBackoff {
    failures: u32,
    not_before: Option<Instant>,
    /// The cause of the last failure.
    last_error: String,
}

impl RestartBackoff {
    pub(super) fn record_failure(&mut self, cause: impl Into<String>) {
        self.last_error = cause.into();
        self.failures += 1;
        let pause = match self.failures {
            1 => Duration::ZERO,
            failures if failures < MAX_DELAY_AFTER_FAILURES => BASE_DELAY * 2_u32.pow(failures - 2),
            _ => MAX_DELAY,
        };
        self.not_before = Some(Instant::now() + pause);
    }

    /// Forgets all failures, because the server has worked.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Returns an error with the cause of the last failure while the server must not be started.
    pub(super) fn check(&self) -> Result<()> {
        let Some(pause) = self.delay() else { return Ok(()) };
        let (pause, cause) = (pause.as_secs_f32(), &self.last_error);
        let message =
            format!("the server keeps failing and is not started for another {pause:.1} s: {cause}");
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    fn delay(&self) -> Option<Duration> {
        self.not_before?.checked_duration_since(Instant::now()).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn restart_backoff_doubles_to_max_delay_and_reset_clears_it() {
        let mut restarts = RestartBackoff::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            restarts.record_failure("it ended");
            pauses.push(restarts.delay().unwrap_or_default().as_millis());
        }
        assert_eq!(pauses, [0, 500, 1000, 2000, 60_000, 60_000]);
        assert!(restarts.check().unwrap_err().message().ends_with("60.0 s: it ended"));
        restarts.reset();
        assert!(restarts.check().is_ok());
    }
}
