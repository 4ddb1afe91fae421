//! One tenant of the demo: a session, its agents, its MCP server.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use valetkey::audit::{AuditSink, InMemoryAudit};
use valetkey::backends::{AssumeRoleProvider, MemoryProvider, SdkConfigExt, SecretsManagerResolver};
use valetkey::mcp::child::HostEnvironment;
use valetkey::mcp::config::{ServerConfig, VarLookup};
use valetkey::mcp::endpoint::AdvertisedExpiry;
use valetkey::mcp::{CredentialEndpoint, McpConfig, McpHost};
use valetkey::tools::{ToolOutput, ToolSet};
use valetkey::{AccountName, Generation, Principal, SessionContext};

use super::env::{DemoEnv, SECRET_PREFIX, TenantPlan};
use crate::error::CliError;
use crate::serve::current_exe_launcher;

/// The tool of the child server, under the name that the host lists.
const CALLER_IDENTITY_TOOL: &str = "aws__get_caller_identity";

/// A tenant with an open session.
pub(super) struct DemoTenant<'a> {
    pub(super) plan: &'a TenantPlan,
    pub(super) session: SessionContext,
    pub(super) workload_account: AccountName,
    pub(super) host: McpHost,
    pub(super) audit: Arc<InMemoryAudit>,
    env: &'a DemoEnv,
    tools: ToolSet,
}

/// The identity that the child server reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerIdentity {
    pub(super) account: String,
    pub(super) pid: u64,
    pub(super) key_suffix: String,
}

impl<'a> DemoTenant<'a> {
    /// Opens a session for the tenant. Its resolver reads with a role in the tenant's own account, and the role of its
    /// MCP server is assumed with the credentials that are set on the session later.
    pub(super) async fn open(
        env: &'a DemoEnv,
        plan: &'a TenantPlan,
        endpoint: &CredentialEndpoint,
    ) -> Result<Self, CliError> {
        let platform = MemoryProvider::new();
        platform.set(env.platform.clone());
        let reader = AssumeRoleProvider::builder(plan.reader_role().parse()?, Arc::new(platform))
            .client_config(&env.client_config)
            .session_name(format!("reader-{}", plan.name))
            .external_id(&plan.external_id)
            .build()?;
        let resolver = SecretsManagerResolver::builder(SECRET_PREFIX, Arc::new(reader))
            .client_config(&env.client_config)
            .build()?;
        let audit = Arc::new(InMemoryAudit::default());
        let session = SessionContext::builder()
            .principal(format!("tenant-{}", plan.name).parse::<Principal>()?)
            .region("us-east-1".parse()?)
            .resolver(resolver)
            .audit(Arc::clone(&audit) as Arc<dyn AuditSink>)
            .build();
        let workload: AccountName = "workload".parse()?;
        let role = AssumeRoleProvider::builder(
            plan.workload_role().parse()?,
            Arc::new(session.account(session.default_account())?),
        )
        .client_config(&env.client_config)
        .session_name(format!("agent-{}", plan.name))
        .build()?;
        session.for_account(&workload).set_provider(role)?;
        let host = McpHost::builder(&session, server_config(&workload, env)?)
            .environment(HostEnvironment::from_process())
            .launcher(current_exe_launcher()?)
            .endpoint(endpoint.clone())
            .advertised_expiry(AdvertisedExpiry::default())
            // A list without the server would abort the demo.
            .list_budget(Duration::from_secs(60))
            .start()
            .await?;
        let tools = ToolSet::for_session(session.clone());
        Ok(Self { plan, session, workload_account: workload, host, audit, env, tools })
    }

    /// Passes the agent a stack job that names a credential id.
    pub(super) async fn submit_stack_job(&self, credential_id: &str) -> Result<ToolOutput, CliError> {
        let job = json!({
            "spec": {
                "provider_credential_id": credential_id,
                "target": {"spec": {"aws_account_region": "us-east-1"}},
            }
        });
        self.call_tool("extract_and_set_credentials_from_stack_job", json!({"stack_job_json": job})).await
    }

    /// Calls one of the session's own tools.
    pub(super) async fn call_tool(&self, name: &str, input: Value) -> Result<ToolOutput, CliError> {
        self.tools.call(name, input).await.ok_or_else(|| CliError::failed(format!("there is no tool {name}")))
    }

    /// Runs a sub-agent, which has a handle of the session and calls AWS through the SDK.
    pub(super) async fn run_sub_agent(&self) -> Result<(String, String), CliError> {
        let session = self.session.clone();
        let config = session.sdk_config_from(self.env.client_config.config()).await?;
        let identity = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await;
        let identity =
            identity.map_err(|error| CliError::failed(format!("STS: {}", error.into_service_error())))?;
        let key = session.credentials().await?.access_key_id().last_four().to_owned();
        Ok((identity.account().unwrap_or_default().to_owned(), key))
    }

    /// Calls the running MCP server and returns its identity.
    pub(super) async fn call_server(
        &self,
        arguments: Option<Map<String, Value>>,
    ) -> Result<ServerIdentity, String> {
        let result = self.host.call(CALLER_IDENTITY_TOOL, arguments, &CancellationToken::new()).await;
        let result = result.ok_or("the server does not offer its tool")?;
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        if result["isError"] == true {
            return Err(text.to_owned());
        }
        let output = &result["structuredContent"];
        Ok(ServerIdentity {
            account: output["account"].as_str().unwrap_or_default().to_owned(),
            pid: output["pid"].as_u64().unwrap_or_default(),
            key_suffix: output["key_suffix"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Rotates the role that the server uses.
    pub(super) async fn rotate(&self) -> Result<Generation, CliError> {
        Ok(self.session.for_account(&self.workload_account).refresh().await?)
    }
}

/// Configures one server: this program as an ordinary MCP server that uses the AWS SDK.
fn server_config(workload: &AccountName, env: &DemoEnv) -> Result<McpConfig, CliError> {
    let this = std::env::current_exe()
        .map_err(|error| CliError::failed(format!("this program is not found: {error}")))?;
    let text = json!({"mcpServers": {"aws": {
        "command": this.to_string_lossy(),
        "args": ["demo-server"],
        "env": {"AWS_ENDPOINT_URL": env.endpoint},
    }}});
    let mut config = McpConfig::parse(&text.to_string(), &VarLookup::new(|_| None))?;
    let configure = |server: &mut ServerConfig| server.account = Some(workload.clone());
    config.servers.values_mut().for_each(configure);
    Ok(config)
}
