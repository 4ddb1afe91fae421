//! One call to STS: the request as it was described, with the token of the moment, and unsigned.

use std::fmt;

use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityOutput;
use valetkey_core::{ExposeSecret, Result, RoleArn, SessionPolicy};

use super::error;
use super::token::IdentityTokenSource;
use crate::sts::marks::DEFAULT_SESSION_NAME;
use crate::sts::{SessionPolicies, Sts};

pub(super) const OPERATION: &str = "AssumeRoleWithWebIdentity";

/// What is asked of STS.
#[derive(Clone)]
pub(super) struct WebIdentityRequest {
    pub(super) role: RoleArn,
    pub(super) token: IdentityTokenSource,
    pub(super) session_name: String,
    pub(super) provider_id: Option<String>,
    pub(super) duration: Option<i32>,
    pub(super) policies: SessionPolicies,
}

impl WebIdentityRequest {
    pub(super) fn new(role: RoleArn, token: IdentityTokenSource) -> Self {
        Self {
            role,
            token,
            session_name: DEFAULT_SESSION_NAME.to_owned(),
            provider_id: None,
            duration: None,
            policies: SessionPolicies::default(),
        }
    }
}

/// Does not show what policies say.
impl fmt::Debug for WebIdentityRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebIdentityRequest")
            .field("role", &self.role)
            .field("token", &self.token)
            .field("session_name", &self.session_name)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

/// The request, and where it goes.
#[derive(Debug)]
pub(super) struct WebIdentityClient {
    pub(super) sts: Sts,
    pub(super) request: WebIdentityRequest,
}

impl WebIdentityClient {
    /// The same client, asking for no more than `policy` allows.
    pub(super) fn scope_down(&self, policy: &SessionPolicy) -> Result<Self> {
        let policies = self.request.policies.narrowed(policy)?;
        Ok(Self {
            sts: self.sts.with_own_retry_quota(),
            request: WebIdentityRequest { policies, ..self.request.clone() },
        })
    }

    pub(super) async fn assume_role(&self) -> Result<AssumeRoleWithWebIdentityOutput> {
        let WebIdentityRequest { role, token, session_name, provider_id, duration, policies } = &self.request;
        let identity_token = token.fetch().await?;
        let call = self
            .sts
            .unsigned_client()
            .assume_role_with_web_identity()
            .role_arn(role.as_str())
            .role_session_name(session_name)
            .web_identity_token(identity_token.expose_secret())
            .set_provider_id(provider_id.clone())
            .set_duration_seconds(*duration)
            .set_policy(policies.inline.clone())
            .set_policy_arns(policies.to_sdk_arns());
        call.send().await.map_err(|refused| error::map_error(&refused, token))
    }
}
