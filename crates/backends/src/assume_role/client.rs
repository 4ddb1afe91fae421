//! One call to STS: the request as it was described, signed with what the source gave.

use std::fmt;

use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use valetkey_core::{Credentials, ExposeSecret, Result, RoleArn, SessionPolicy};

use crate::fault;
use crate::sts::marks::DEFAULT_SESSION_NAME;
use crate::sts::mfa::{self, MfaDevice};
use crate::sts::{SessionPolicies, SessionTags, Sts};

pub(super) const OPERATION: &str = "AssumeRole";

/// What is asked of STS.
#[derive(Clone)]
pub(super) struct AssumeRoleRequest {
    pub(super) role: RoleArn,
    pub(super) session_name: String,
    pub(super) source_identity: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) duration: Option<i32>,
    pub(super) policies: SessionPolicies,
    pub(super) tags: SessionTags,
    pub(super) transitive_tags: Vec<String>,
    pub(super) mfa: Option<MfaDevice>,
}

impl AssumeRoleRequest {
    pub(super) fn new(role: RoleArn) -> Self {
        Self {
            role,
            session_name: DEFAULT_SESSION_NAME.to_owned(),
            source_identity: None,
            external_id: None,
            duration: None,
            policies: SessionPolicies::default(),
            tags: SessionTags::default(),
            transitive_tags: Vec::new(),
            mfa: None,
        }
    }

    fn apply_to(&self, call: AssumeRoleFluentBuilder) -> Result<AssumeRoleFluentBuilder> {
        let call = call
            .role_arn(self.role.as_str())
            .role_session_name(&self.session_name)
            .set_source_identity(self.source_identity.clone())
            .set_external_id(self.external_id.clone())
            .set_duration_seconds(self.duration)
            .set_policy(self.policies.inline.clone())
            .set_policy_arns(self.policies.to_sdk_arns())
            .set_tags(self.tags.to_sdk()?);
        Ok(self.transitive_tags.iter().fold(call, |call, key| call.transitive_tag_keys(key)))
    }
}

/// Shows neither the external id nor what policies and tags say.
impl fmt::Debug for AssumeRoleRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssumeRoleRequest")
            .field("role", &self.role)
            .field("session_name", &self.session_name)
            .field("duration", &self.duration)
            .field("mfa", &self.mfa)
            .finish_non_exhaustive()
    }
}

/// The request, and where it goes.
#[derive(Debug)]
pub(super) struct AssumeRoleClient {
    pub(super) sts: Sts,
    pub(super) request: AssumeRoleRequest,
}

impl AssumeRoleClient {
    /// The same client, asking for no more than `policy` allows.
    pub(super) fn scope_down(&self, policy: &SessionPolicy) -> Result<Self> {
        let policies = self.request.policies.narrowed(policy)?;
        Ok(Self {
            sts: self.sts.with_own_retry_quota(),
            request: AssumeRoleRequest { policies, ..self.request.clone() },
        })
    }

    pub(super) async fn assume_role(&self, source: &Credentials) -> Result<AssumeRoleOutput> {
        let call = self.request.apply_to(self.sts.client_for(source).assume_role())?;
        let Some(device) = &self.request.mfa else {
            return call.send().await.map_err(|error| fault::from_sdk_error(OPERATION, &error));
        };
        let code = device.code_provider().await?;
        let call = call.serial_number(&device.serial).token_code(code.expose_secret());
        let answer = call.customize().config_override(mfa::without_retries()).send().await;
        answer.map_err(|error| mfa::refused(OPERATION, &error))
    }
}
