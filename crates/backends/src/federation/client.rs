//! The two calls that exchange keys, signed with what the source gave.

use std::fmt;

use aws_sdk_sts::types::Credentials as Keys;
use valetkey_core::{AccountId, ExposeSecret, Result, SessionPolicy};

use super::error;
use crate::error as sdk_error;
use crate::sts::mfa::{self, MfaDevice};
use crate::sts::request::{SessionPolicies, SessionTags};
use crate::sts::response;

const GET_SESSION_TOKEN: &str = "GetSessionToken";
const GET_FEDERATION_TOKEN: &str = "GetFederationToken";

/// An exchange by `GetSessionToken`: the same user with the same authority, for a while.
#[derive(Clone, Default)]
pub struct GetSessionTokenRequest {
    pub(super) duration: Option<i32>,
    pub(super) mfa: Option<MfaDevice>,
    /// Who is asked for in its place when it is narrowed.
    pub(super) scoped_down: GetFederationTokenRequest,
}

/// An exchange by `GetFederationToken`: a user of another name, with no more authority than policies and keys both
/// give.
#[derive(Clone, Default)]
pub struct GetFederationTokenRequest {
    pub(super) name: String,
    pub(super) duration: Option<i32>,
    pub(super) policies: SessionPolicies,
    pub(super) tags: SessionTags,
}

/// What an exchange brought.
pub(super) struct ExchangeResponse {
    pub(super) operation: &'static str,
    pub(super) keys: Option<Keys>,
    pub(super) account: Option<AccountId>,
    pub(super) utilization: Option<i32>,
}

/// One way to exchange keys.
#[derive(Clone, Debug)]
pub(super) enum ExchangeRequest {
    SessionToken(GetSessionTokenRequest),
    FederationToken(GetFederationTokenRequest),
}

impl ExchangeRequest {
    /// A request for no more than `policy` allows.
    pub(super) fn scope_down(&self, policy: &SessionPolicy) -> Result<Self> {
        match self {
            Self::SessionToken(request) => request.scope_down(policy),
            Self::FederationToken(request) => {
                let policies = request.policies.narrowed(policy)?;
                Ok(GetFederationTokenRequest { policies, ..request.clone() })
            }
        }
        .map(Self::FederationToken)
    }

    pub(super) async fn send(&self, sts: aws_sdk_sts::Client) -> Result<ExchangeResponse> {
        match self {
            Self::SessionToken(request) => request.send(sts).await,
            Self::FederationToken(request) => request.send(sts).await,
        }
    }
}

impl GetSessionTokenRequest {
    /// `GetSessionToken` takes no policy, so that what is narrowed is asked for under a name.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<GetFederationTokenRequest> {
        if self.mfa.is_some() {
            return Err(error::mfa_scope_down_unsupported());
        }
        let policies = SessionPolicies { inline: Some(policy.clone().into()), arns: Vec::new() };
        Ok(GetFederationTokenRequest { duration: self.duration, policies, ..self.scoped_down.clone() })
    }

    async fn send(&self, sts: aws_sdk_sts::Client) -> Result<ExchangeResponse> {
        let call = sts.get_session_token().set_duration_seconds(self.duration);
        let answer = match &self.mfa {
            None => call.send().await.map_err(|error| sdk_error::from_sdk_error(GET_SESSION_TOKEN, &error)),
            Some(device) => {
                let code = device.code_provider().await?;
                let call = call.serial_number(&device.serial).token_code(code.expose_secret());
                let answer = call.customize().config_override(mfa::without_retries()).send().await;
                answer.map_err(|error| mfa::refused(GET_SESSION_TOKEN, &error))
            }
        }?;
        Ok(ExchangeResponse {
            operation: GET_SESSION_TOKEN,
            keys: answer.credentials,
            account: None,
            utilization: answer.session_token_utilization,
        })
    }
}

impl GetFederationTokenRequest {
    #[allow(deprecated, reason = "whoever does not tell the one tells the other")]
    async fn send(&self, sts: aws_sdk_sts::Client) -> Result<ExchangeResponse> {
        let call = sts
            .get_federation_token()
            .name(&self.name)
            .set_duration_seconds(self.duration)
            .set_policy(self.policies.inline.clone())
            .set_policy_arns(self.policies.to_sdk_arns())
            .set_tags(self.tags.to_sdk()?);
        let answer =
            call.send().await.map_err(|error| sdk_error::from_sdk_error(GET_FEDERATION_TOKEN, &error))?;
        Ok(ExchangeResponse {
            operation: GET_FEDERATION_TOKEN,
            keys: answer.credentials,
            account: answer.federated_user.as_ref().and_then(|user| response::account_from_arn(user.arn())),
            utilization: answer.session_token_utilization.or(answer.packed_policy_size),
        })
    }
}

impl fmt::Debug for GetSessionTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetSessionTokenRequest")
            .field("duration", &self.duration)
            .field("mfa", &self.mfa)
            .finish_non_exhaustive()
    }
}

/// Does not show what policies and tags say.
impl fmt::Debug for GetFederationTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetFederationTokenRequest")
            .field("name", &self.name)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}
