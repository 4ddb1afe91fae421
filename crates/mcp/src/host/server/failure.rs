//! `RequestFailure`: why a request to a server has no result; and the errors that callers get.

use valetkey_core::{Error, ErrorKind, SessionAccount};

use super::ServerShared;
use super::running::CallGuard;
use crate::connection::{RefusedRequest, RequestError};

const METHOD_NOT_FOUND: i32 = -32601;

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
}

impl From<Error> for RequestFailure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl ServerShared {
    /// Converts the failure of a request into the error that a caller gets. Texts of the server are masked first,
    /// because a server may repeat its environment in an error message.
    pub(super) async fn to_error(&self, error: RequestError, call: &CallGuard) -> Error {
        let error = match error {
            RequestError::Refused(refused) => {
                let RefusedRequest { code, message, .. } = self.mask_refusal(refused);
                Error::new(
                    ErrorKind::Invalid,
                    format!("the server refused the request (code {code}): {message}"),
                )
            }
            RequestError::Unreadable(reason) => Error::new(ErrorKind::Internal, reason)
                .with_next_step("the server has an error; other tools and arguments may work"),
            RequestError::Cancelled => cancelled_error(),
            RequestError::TimedOut(limit) => {
                let message = format!("the server did not answer within {} s", limit.as_secs_f32());
                Error::new(ErrorKind::TimedOut, message)
            }
            RequestError::ListTooLarge => {
                Error::new(ErrorKind::Invalid, "the server's list has no end, or is too large")
            }
            RequestError::Disconnected => {
                let message = format!("the server ended during the call{}", call.stderr_tail().await);
                Error::new(ErrorKind::Unavailable, message)
                    .with_next_step("call again; the server is started anew")
            }
        };
        error.with_provider(self.name.clone())
    }

    /// Masks the texts of a protocol error.
    pub(super) fn mask_refusal(&self, mut refused: RefusedRequest) -> RefusedRequest {
        let redactor = &self.spawn_config.redactor;
        refused.message = redactor.mask(&refused.message);
        refused.data.iter_mut().for_each(|data| redactor.mask_json(data));
        refused
    }
}

pub(in crate::host) fn cancelled_error() -> Error {
    Error::new(ErrorKind::TimedOut, "the call was cancelled")
}

/// Adds the next step for missing credentials.
///
/// A tool can provide them if the session, or the source account of a role, has no provider. If a provider has no
/// credentials, only the person who configured it can help: keys set by a model would belong to another account.
pub(in crate::host) fn with_set_credentials_hint(error: Error, account: &SessionAccount) -> Error {
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
