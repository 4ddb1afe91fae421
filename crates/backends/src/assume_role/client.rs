//! One call to STS: the request as it was described, signed with what the source gave.

use std::fmt;

use aws_config::SdkConfig;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use valetkey_core::{Credentials, Error, Result, RoleArn};

use crate::fault;

/// What is asked of STS.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) role: RoleArn,
    pub(super) session_name: String,
    pub(super) source_identity: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) duration: Option<i32>,
    pub(super) policy: Option<String>,
    pub(super) policy_arns: Vec<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) transitive_tags: Vec<String>,
}

impl Request {
    pub(super) fn new(role: RoleArn) -> Self {
        Self {
            role,
            session_name: "valetkey".to_owned(),
            source_identity: None,
            external_id: None,
            duration: None,
            policy: None,
            policy_arns: Vec::new(),
            tags: Vec::new(),
            transitive_tags: Vec::new(),
        }
    }

    fn fill(&self, call: AssumeRoleFluentBuilder) -> Result<AssumeRoleFluentBuilder> {
        let mut call = call
            .role_arn(self.role.as_str())
            .role_session_name(&self.session_name)
            .set_source_identity(self.source_identity.clone())
            .set_external_id(self.external_id.clone())
            .set_duration_seconds(self.duration)
            .set_policy(self.policy.clone());
        for arn in &self.policy_arns {
            call = call.policy_arns(PolicyDescriptorType::builder().arn(arn).build());
        }
        for (key, value) in &self.tags {
            let tag = Tag::builder().key(key).value(value).build();
            call = call.tags(tag.map_err(|_| Error::invalid("tags", "must have keys and values"))?);
        }
        Ok(self.transitive_tags.iter().fold(call, |call, key| call.transitive_tag_keys(key)))
    }
}

/// Shows neither the external id nor what policies and tags say.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("role", &self.role)
            .field("session_name", &self.session_name)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

/// The request, and where it goes. A client of the SDK is made for each call, since it belongs to one identity; the
/// connections are the base's.
#[derive(Debug)]
pub(super) struct Client {
    config: Config,
    pub(super) request: Request,
}

#[derive(Clone)]
struct Config(aws_sdk_sts::Config);

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Config")
    }
}

impl Client {
    pub(super) fn new(config: &SdkConfig, request: Request) -> Self {
        Self { config: Config(aws_sdk_sts::Config::new(config)), request }
    }

    /// The same client with another request.
    pub(super) fn asking(&self, request: Request) -> Self {
        Self { config: self.config.clone(), request }
    }

    pub(super) async fn assume(&self, source: &Credentials) -> Result<AssumeRoleOutput> {
        let config = self.config.0.to_builder().credentials_provider(source.expose_to_sdk()).build();
        let call = self.request.fill(aws_sdk_sts::Client::from_conf(config).assume_role())?;
        call.send().await.map_err(|error| fault::of_operation("AssumeRole", &error))
    }
}
