//! `GetScopedCredentials`, which the SDK does not have: a request of another operation, rewritten.
//!
//! The SDK signs, retries, finds the endpoint and parses errors. It sends a request for `GetFederationToken`, whose
//! `Policy` and `DurationSeconds` go by the same names; the action is replaced before the request is signed, and an
//! response is parsed here, by the names of `GetScopedCredentials`. If the replacement failed, STS would refuse the request:
//! the name of a federated user is missing, and temporary credentials may not ask for one.

use aws_sdk_sts::Client;
use aws_sdk_sts::operation::get_federation_token::{GetFederationTokenError, GetFederationTokenOutput};
use aws_sdk_sts::types::{Credentials as Keys, FederatedUser};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, Error as SdkFault, FinalizerInterceptorContextMut, Output,
};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use valetkey_core::{Result, SessionPolicy};

use super::not_scoped_down;
use crate::error;

pub(super) const OPERATION: &str = "GetScopedCredentials";

/// The parameters of the operation. At least one of policy and duration is needed.
pub(super) struct ScopedCredentialsRequest<'a> {
    pub(super) policy: Option<&'a SessionPolicy>,
    pub(super) duration_seconds: Option<i32>,
    pub(super) description: Option<&'a str>,
}

/// Returns the keys of a scoped session, and its ARN.
pub(super) async fn get_scoped_credentials(
    sts: &Client,
    request: ScopedCredentialsRequest<'_>,
) -> Result<(Keys, String)> {
    let description = request.description.map(str::to_owned);
    let request = sts
        .get_federation_token()
        .set_policy(request.policy.cloned().map(String::from))
        .set_duration_seconds(request.duration_seconds)
        .customize()
        .interceptor(OperationRewrite { has_policy: request.policy.is_some(), description });
    let output = request.send().await.map_err(|error| error::from_sdk_error(OPERATION, &error))?;
    match (output.credentials, output.federated_user) {
        (Some(keys), Some(session)) => Ok((keys, session.arn)),
        _ => Err(not_scoped_down()),
    }
}

/// Rewrites the form of the request before it is signed, and the output of a success before it is returned.
#[derive(Debug)]
struct OperationRewrite {
    has_policy: bool,
    description: Option<String>,
}

impl Intercept for OperationRewrite {
    fn name(&self) -> &'static str {
        OPERATION
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let request = context.request_mut();
        let form = request.body().bytes().and_then(|form| std::str::from_utf8(form).ok());
        let rest = form.and_then(|form| form.strip_prefix("Action=GetFederationToken&"));
        let mut form = format!("Action={OPERATION}&{}", rest.ok_or("an unknown form")?);
        if let Some(description) = &self.description {
            let description = utf8_percent_encode(description, NON_ALPHANUMERIC);
            form = format!("{form}&ScopedSessionDescription={description}");
        }
        request.headers_mut().insert("content-length", form.len().to_string());
        *request.body_mut() = form.into();
        Ok(())
    }

    /// Replaces the output of a success, because the SDK parsed another operation.
    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let success = context.response().filter(|response| response.status().is_success());
        let Some(parsed) = success
            .and_then(|response| response.body().bytes())
            .map(|body| parse_response(body, self.has_policy))
        else {
            return Ok(());
        };
        if let Some(output) = context.output_or_error_mut() {
            *output = parsed.map(Output::erase).map_err(|_| unreadable_response());
        }
        Ok(())
    }
}

/// Parses the body of a success. The output is empty for a response to another operation, and for one that reports no
/// scope-down policy although the request had one. A body that is not a response of STS is an error. The scoped session
/// takes the place of the federated user.
fn parse_response(
    body: &[u8],
    has_policy: bool,
) -> std::result::Result<GetFederationTokenOutput, XmlDecodeError> {
    let mut output = GetFederationTokenOutput::builder();
    let mut document = Document::try_from(body)?;
    let mut root = document.root_element()?;
    if !root.start_el().local().ends_with("Response") {
        return Err(XmlDecodeError::custom("not a response of STS"));
    }
    let is_known = root.start_el().matches("GetScopedCredentialsResponse");
    let result =
        root.next_tag().filter(|tag| is_known && tag.start_el().matches("GetScopedCredentialsResult"));
    let Some(mut result) = result else { return Ok(output.build()) };
    let mut is_ignored = false;
    while let Some(mut tag) = result.next_tag() {
        match tag.start_el().local() {
            "Credentials" => output = output.credentials(parse_keys(&mut tag)?),
            "SessionInfo" => output = output.set_federated_user(parse_session(&mut tag)?),
            "ScopedPoliciesCount" => is_ignored = has_policy && try_data(&mut tag)?.trim() == "0",
            _ => {}
        }
    }
    // A response that ignored the policy is not accepted.
    Ok(if is_ignored { GetFederationTokenOutput::builder().build() } else { output.build() })
}

/// Parses the element `Credentials`. All of its fields are required.
fn parse_keys(element: &mut ScopedDecoder<'_, '_>) -> std::result::Result<Keys, XmlDecodeError> {
    let mut keys = Keys::builder();
    while let Some(mut tag) = element.next_tag() {
        keys = match tag.start_el().local() {
            "AccessKeyId" => keys.access_key_id(try_data(&mut tag)?),
            "SecretAccessKey" => keys.secret_access_key(try_data(&mut tag)?),
            "SessionToken" => keys.session_token(try_data(&mut tag)?),
            "Expiration" => {
                let instant = DateTime::from_str(&try_data(&mut tag)?, Format::DateTimeWithOffset);
                keys.expiration(instant.map_err(XmlDecodeError::unhandled)?)
            }
            _ => keys,
        };
    }
    keys.build().map_err(XmlDecodeError::unhandled)
}

/// Parses the element `SessionInfo`; `None` if it does not identify a scoped session.
fn parse_session(
    element: &mut ScopedDecoder<'_, '_>,
) -> std::result::Result<Option<FederatedUser>, XmlDecodeError> {
    let mut session = FederatedUser::builder();
    while let Some(mut tag) = element.next_tag() {
        session = match tag.start_el().local() {
            "Arn" => session.arn(try_data(&mut tag)?),
            "ScopedSessionId" => session.federated_user_id(try_data(&mut tag)?),
            _ => session,
        };
    }
    let session = session.build().ok();
    Ok(session.filter(|session| session.arn.starts_with("arn:") && !session.federated_user_id.is_empty()))
}

/// Contains no part of the body, which may hold a secret.
fn unreadable_response() -> OrchestratorError<SdkFault> {
    OrchestratorError::operation(SdkFault::erase(GetFederationTokenError::unhandled("not readable")))
}
