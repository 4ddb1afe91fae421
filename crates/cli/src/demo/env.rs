//! The environment of the demo: a platform that may assume roles, and two tenants, each with an account, a secret and
//! roles.

use serde_json::json;
use uuid::Uuid;
use valetkey::backends::{AssumeRoleProvider, AwsClientConfig};
use valetkey::{AccessKeyId, CredentialProvider, Credentials, Region, SecretString};
use valetkey_local_aws::{LocalAws, RoleSpec, SecretSpec, UserSpec};

use crate::error::CliError;

const PLATFORM_ACCOUNT: &str = "999999999999";
/// The prefix of the secrets to which stack jobs refer.
pub(super) const SECRET_PREFIX: &str = "valetkey/credentials/";

pub(super) struct DemoEnv {
    /// The configuration that every AWS client of the demo shares.
    pub(super) client_config: AwsClientConfig,
    pub(super) endpoint: String,
    /// The platform's own key, with which a session's roles are assumed. No session ever has it.
    pub(super) platform: Credentials,
    pub(super) tenants: [TenantPlan; 2],
    local_aws: Option<LocalAws>,
}

/// The resources of one tenant before the scenario starts.
pub(super) struct TenantPlan {
    pub(super) name: &'static str,
    pub(super) account: &'static str,
    pub(super) credential_id: &'static str,
    pub(super) external_id: String,
}

impl TenantPlan {
    /// The role with which the platform reads the tenant's secrets.
    pub(super) fn reader_role(&self) -> String {
        format!("arn:aws:iam::{}:role/secret-reader", self.account)
    }

    /// The role that does the tenant's work.
    pub(super) fn workload_role(&self) -> String {
        format!("arn:aws:iam::{}:role/workload", self.account)
    }

    fn secret_name(&self) -> String {
        format!("{SECRET_PREFIX}{}", self.credential_id)
    }

    fn new(name: &'static str, account: &'static str, credential_id: &'static str) -> Self {
        Self { name, account, credential_id, external_id: Uuid::new_v4().simple().to_string() }
    }
}

impl DemoEnv {
    /// Sets up the demo on a local AWS, or at `endpoint`.
    pub(super) async fn setup(endpoint: Option<&str>) -> Result<Self, CliError> {
        let tenants = [
            TenantPlan::new("A", "111111111111", "aws-cred-tenant-a"),
            TenantPlan::new("B", "222222222222", "aws-cred-tenant-b"),
        ];
        let platform = random_user_key()?;
        match endpoint {
            None => Self::with_local_aws(platform, tenants).await,
            Some(endpoint) => Self::with_endpoint(platform, tenants, endpoint).await,
        }
    }

    /// Stops the local AWS.
    pub(super) async fn teardown(self) {
        if let Some(local_aws) = self.local_aws
            && let Err(error) = local_aws.stop().await
        {
            tracing::warn!(%error, "the local AWS did not stop cleanly");
        }
    }

    async fn with_local_aws(platform: Credentials, tenants: [TenantPlan; 2]) -> Result<Self, CliError> {
        let mut spec = LocalAws::builder().user(user_spec(PLATFORM_ACCOUNT, "platform", &platform));
        for tenant in &tenants {
            let service = random_user_key()?;
            let reader = RoleSpec::new(&tenant.reader_role())
                .trusts(PLATFORM_ACCOUNT)
                .external_id(&tenant.external_id);
            let workload = RoleSpec::new(&tenant.workload_role()).trusts(tenant.account);
            let secret = SecretSpec::new(tenant.account, &tenant.secret_name(), &secret_document(&service));
            spec = spec
                .user(user_spec(tenant.account, "service", &service))
                .role(reader)
                .role(workload)
                .secret(secret);
        }
        let local_aws = spec.start().await;
        let local_aws =
            local_aws.map_err(|error| CliError::failed(format!("the local AWS did not start: {error}")))?;
        let endpoint = local_aws.endpoint_url();
        Ok(Self {
            client_config: client_config(&endpoint)?,
            endpoint,
            platform,
            tenants,
            local_aws: Some(local_aws),
        })
    }

    /// Sets up the demo at an external endpoint, where no users can be configured: the secrets hold temporary keys of
    /// each tenant's account.
    async fn with_endpoint(
        platform: Credentials,
        tenants: [TenantPlan; 2],
        endpoint: &str,
    ) -> Result<Self, CliError> {
        let env = Self {
            client_config: client_config(endpoint)?,
            endpoint: endpoint.to_owned(),
            platform,
            tenants,
            local_aws: None,
        };
        for tenant in &env.tenants {
            let keys = env.assume_role(tenant.workload_role(), "service", tenant).await?;
            env.create_secret(tenant, &env.assume_role(tenant.reader_role(), "setup", tenant).await?, &keys)
                .await?;
        }
        Ok(env)
    }

    async fn assume_role(
        &self,
        role: String,
        name: &str,
        tenant: &TenantPlan,
    ) -> Result<Credentials, CliError> {
        let source = valetkey::backends::MemoryProvider::new();
        source.set(self.platform.clone());
        let role = AssumeRoleProvider::builder(role.parse()?, std::sync::Arc::new(source))
            .client_config(&self.client_config)
            .session_name(name)
            .external_id(&tenant.external_id)
            .build()?;
        Ok(role.provide().await?)
    }

    async fn create_secret(
        &self,
        tenant: &TenantPlan,
        by: &Credentials,
        keys: &Credentials,
    ) -> Result<(), CliError> {
        let config = self.client_config.config().to_builder();
        let config = config.credentials_provider(
            aws_credential_types::provider::SharedCredentialsProvider::new(by.expose_to_sdk()),
        );
        let client = aws_sdk_secretsmanager::Client::new(&config.build());
        let (name, value) = (tenant.secret_name(), secret_document(keys));
        let made = client.create_secret().name(&name).secret_string(&value).send().await;
        let kept = match made.map_err(|error| error.into_service_error()) {
            Ok(_) => return Ok(()),
            // The secret exists from an earlier run of the demo.
            Err(error) if error.is_resource_exists_exception() => {
                let put = client.put_secret_value().secret_id(name).secret_string(value).send().await;
                put.map(drop).map_err(|error| error.into_service_error().to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        kept.map_err(|error| {
            CliError::failed(format!("the secret of tenant {} cannot be kept: {error}", tenant.name))
        })
    }
}

fn client_config(endpoint: &str) -> Result<AwsClientConfig, CliError> {
    let region: Region = "us-east-1".parse()?;
    Ok(AwsClientConfig::new().region(&region).endpoint_url(endpoint))
}

/// Generates a long-lived key.
fn random_user_key() -> Result<Credentials, CliError> {
    let random = || Uuid::new_v4().simple().to_string();
    let id: AccessKeyId = format!("AKIA{}", &random()[..16]).to_uppercase().parse()?;
    Ok(Credentials::builder(id, SecretString::from(format!("{}{}", random(), &random()[..8]))).build()?)
}

fn user_spec(account: &str, name: &str, key: &Credentials) -> UserSpec {
    UserSpec::new(account, name, key.access_key_id().as_str(), key.expose_secret_access_key())
}

/// Formats a secret as users commonly store it.
fn secret_document(key: &Credentials) -> String {
    json!({
        "access_key_id": key.access_key_id().as_str(),
        "secret_access_key": key.expose_secret_access_key(),
        "session_token": key.expose_session_token(),
        "region": "us-west-2",
    })
    .to_string()
}
