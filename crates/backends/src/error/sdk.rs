//! The failure of one operation of an AWS client.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{DispatchFailure, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use valetkey_core::{Error, ErrorKind};

use super::{classify, is_packed_policy_too_large, kind_for_status, kind_without_code, next_step_for};

const NOT_AWS_NEXT_STEP: &str =
    "check the endpoint URL and whether a proxy or the sign-in page of a network responds, then try again";

/// Converts the failure of `operation`. The SDK's own error is dropped, because its `Debug` output contains the whole
/// response.
pub(crate) fn from_sdk_error<E: ProvideErrorMetadata>(
    operation: &'static str,
    error: &SdkError<E, HttpResponse>,
) -> Error {
    match error {
        SdkError::ConstructionFailure(_) => {
            Error::new(ErrorKind::Invalid, format!("{operation} could not be built"))
                .with_next_step("check the region, the endpoint URL and the settings of this provider")
        }
        SdkError::TimeoutError(_) => timed_out_error(operation),
        SdkError::DispatchFailure(failure) => from_dispatch_failure(operation, failure),
        SdkError::ResponseError(response) => from_response(operation, None, response.raw()),
        SdkError::ServiceError(response) => {
            let code = response.err().code().map(|code| (code, response.err().message()));
            let error = from_response(operation, code, response.raw());
            match packed_policy_percent(response.err()) {
                Some(percent) => error.with_next_step(format!(
                    "shorten the session policies and tags, which take {percent} % of their limit"
                )),
                None => error,
            }
        }
        _ => {
            Error::new(ErrorKind::Internal, format!("{operation} failed in a way this version does not know"))
        }
    }
}

/// Returns the only number that is read from a message: STS reports it nowhere else.
fn packed_policy_percent<E: ProvideErrorMetadata>(error: &E) -> Option<u16> {
    let message = error.message().filter(|_| error.code().is_some_and(is_packed_policy_too_large))?;
    let (before, _) = message.split_once('%')?;
    before.split_whitespace().next_back()?.parse().ok()
}

/// Converts a failure without a response. Only a mistake in the settings is permanent.
fn from_dispatch_failure(operation: &'static str, failure: &DispatchFailure) -> Error {
    if failure.is_timeout() {
        return timed_out_error(operation);
    }
    if failure.is_user() {
        return Error::new(ErrorKind::Invalid, format!("{operation} could not be sent"))
            .with_next_step("check the endpoint URL of this provider");
    }
    Error::new(ErrorKind::Unavailable, format!("{operation} could not reach its endpoint"))
        .with_next_step("check the network, the region and the endpoint URL, then try again")
}

/// Classifies a response by its code and message, or by its status if it has no AWS error code.
fn from_response(
    operation: &'static str,
    code: Option<(&str, Option<&str>)>,
    response: &HttpResponse,
) -> Error {
    let code = code.filter(|(code, _)| is_safe_to_repeat(code));
    let status = response.status().as_u16();
    let (kind, next_step, mut message) = match code {
        Some((code, message)) => {
            let unknown = || {
                let kind = kind_for_status(status);
                (kind, next_step_for(kind, Some(code)))
            };
            let (kind, next_step) = classify(code, message).unwrap_or_else(unknown);
            (kind, next_step, format!("{operation} returned {code}"))
        }
        None => {
            let message = format!("{operation} returned HTTP {status} without an AWS error code");
            (kind_without_code(status), NOT_AWS_NEXT_STEP, message)
        }
    };
    if let Some(id) = response.request_id().filter(|id| is_safe_to_repeat(id)) {
        message = format!("{message} (request {id})");
    }
    Error::new(kind, message).with_next_step(next_step)
}

/// Returns whether a text is short and has only the characters of codes and ids, so that a server cannot put other text into
/// errors.
fn is_safe_to_repeat(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn timed_out_error(operation: &'static str) -> Error {
    Error::new(ErrorKind::TimedOut, format!("{operation} timed out")).with_next_step("try again")
}
