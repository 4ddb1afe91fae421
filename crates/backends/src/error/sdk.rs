//! The failure of one operation of an AWS client.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{DispatchFailure, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use valetkey_core::{Error, ErrorKind};

use super::code;

const NOT_AWS_NEXT_STEP: &str =
    "check the endpoint URL and whether a proxy or the sign-in page of a network responds, then try again";

/// What `operation` failed with. The SDK's own error is dropped: its `Debug` output holds the whole response.
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
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().map(|code| (code, answer.err().message()));
            let error = from_response(operation, code, answer.raw());
            match packed_policy_percent(answer.err()) {
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

/// The one number that is read out of a message: STS tells it nowhere else.
fn packed_policy_percent<E: ProvideErrorMetadata>(error: &E) -> Option<u16> {
    let message = error.message().filter(|_| error.code().is_some_and(code::is_packed_policy_too_large))?;
    let (before, _) = message.split_once('%')?;
    before.split_whitespace().next_back()?.parse().ok()
}

fn from_dispatch_failure(operation: &'static str, failure: &DispatchFailure) -> Error {
    if failure.is_timeout() {
        return timed_out_error(operation);
    }
    if failure.is_user() {
        return Error::new(ErrorKind::Invalid, format!("{operation} could not be sent"))
            .with_next_step("check the endpoint URL of this provider");
    }
    Error::new(ErrorKind::Unavailable, format!("{operation} reached nobody at its endpoint"))
        .with_next_step("check the network, the region and the endpoint URL, then try again")
}

/// What a response means by its code and message, or by its status if it has no code of AWS.
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
                let kind = code::kind_for_status(status);
                (kind, code::next_step_for(kind, Some(code)))
            };
            let (kind, next_step) = code::classify(code, message).unwrap_or_else(unknown);
            (kind, next_step, format!("{operation} was answered {code}"))
        }
        None => {
            let message = format!("{operation} was answered HTTP {status} without an AWS error code");
            (code::kind_without_code(status), NOT_AWS_NEXT_STEP, message)
        }
    };
    if let Some(id) = response.request_id().filter(|id| is_safe_to_repeat(id)) {
        message = format!("{message} (request {id})");
    }
    Error::new(kind, message).with_next_step(next_step)
}

/// What is repeated from an answer is short and made of the characters that codes and ids are made of: whoever
/// answers cannot put a text of his own into our errors.
fn is_safe_to_repeat(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn timed_out_error(operation: &'static str) -> Error {
    Error::new(ErrorKind::TimedOut, format!("{operation} was not answered in time"))
        .with_next_step("try again")
}
