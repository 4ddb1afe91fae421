//! The two calls that exchange keys, signed with what the source gave.

use std::fmt;

use aws_sdk_sts::types::Credentials as Keys;
use valetkey_core::{AccountId, ExposeSecret, Result, SessionPolicy};

use super::error;
use crate::fault;
use crate::sts::mfa::{self, Mfa};
use crate::sts::{SessionPolicies, SessionTags, answer};

const SESSION_TOKEN: &str = "GetSessionToken";
const FEDERATION_TOKEN: &str = "GetFederationToken";

/// An exchange by `GetSessionToken`: the same user with the same authority, for a while.
#[derive(Clone, Default)]
pub struct UserSession {
    pub(super) duration: Option<i32>,
    pub(super) mfa: Option<Mfa>,
    /// Who is asked for in its place when it is narrowed.
    pub(super) narrowed: FederatedUser,
}

/// An exchange by `GetFederationToken`: a user of another name, with no more authority than policies and keys both
/// give.
#[derive(Clone, Default)]
pub struct FederatedUser {
    pub(super) name: String,
    pub(super) duration: Option<i32>,
    pub(super) policies: SessionPolicies,
    pub(super) tags: SessionTags,
}

/// What an exchange brought.
pub(super) struct Exchanged {
    pub(super) operation: &'static str,
    pub(super) keys: Option<Keys>,
    pub(super) account: Option<AccountId>,
    pub(super) utilization: Option<i32>,
}

/// One way to exchange keys.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Session(UserSession),
    Federated(FederatedUser),
}

impl Request {
    /// A request for no more than `policy` allows.
    pub(super) fn narrowed(&self, policy: &SessionPolicy) -> Result<Self> {
        match self {
            Self::Session(request) => request.narrowed(policy),
            Self::Federated(request) => {
                let policies = request.policies.narrowed(policy)?;
                Ok(FederatedUser { policies, ..request.clone() })
            }
        }
        .map(Self::Federated)
    }

    pub(super) async fn send(&self, sts: aws_sdk_sts::Client) -> Result<Exchanged> {
        match self {
            Self::Session(request) => request.send(sts).await,
            Self::Federated(request) => request.send(sts).await,
        }
    }
}

impl UserSession {
    /// `GetSessionToken` takes no policy, so that what is narrowed is asked for under a name.
    fn narrowed(&self, policy: &SessionPolicy) -> Result<FederatedUser> {
        if self.mfa.is_some() {
            return Err(error::mfa_not_narrowed());
        }
        let policies = SessionPolicies { inline: Some(policy.clone().into()), arns: Vec::new() };
        Ok(FederatedUser { duration: self.duration, policies, ..self.narrowed.clone() })
    }

    async fn send(&self, sts: aws_sdk_sts::Client) -> Result<Exchanged> {
        let call = sts.get_session_token().set_duration_seconds(self.duration);
        let answer = match &self.mfa {
            None => call.send().await.map_err(|error| fault::of_operation(SESSION_TOKEN, &error)),
            Some(device) => {
                let code = device.code().await?;
                let call = call.serial_number(&device.serial).token_code(code.expose_secret());
                let answer = call.customize().config_override(mfa::sent_once()).send().await;
                answer.map_err(|error| mfa::refused(SESSION_TOKEN, &error))
            }
        }?;
        Ok(Exchanged {
            operation: SESSION_TOKEN,
            keys: answer.credentials,
            account: None,
            utilization: answer.session_token_utilization,
        })
    }
}

impl FederatedUser {
    #[allow(deprecated, reason = "whoever does not tell the one tells the other")]
    async fn send(&self, sts: aws_sdk_sts::Client) -> Result<Exchanged> {
        let call = sts
            .get_federation_token()
            .name(&self.name)
            .set_duration_seconds(self.duration)
            .set_policy(self.policies.inline.clone())
            .set_policy_arns(self.policies.sdk_arns())
            .set_tags(self.tags.to_sdk()?);
        let answer = call.send().await.map_err(|error| fault::of_operation(FEDERATION_TOKEN, &error))?;
        Ok(Exchanged {
            operation: FEDERATION_TOKEN,
            keys: answer.credentials,
            account: answer.federated_user.as_ref().and_then(|user| answer::account_of(user.arn())),
            utilization: answer.session_token_utilization.or(answer.packed_policy_size),
        })
    }
}

impl fmt::Debug for UserSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSession")
            .field("duration", &self.duration)
            .field("mfa", &self.mfa)
            .finish_non_exhaustive()
    }
}

/// Does not show what policies and tags say.
impl fmt::Debug for FederatedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FederatedUser")
            .field("name", &self.name)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}
