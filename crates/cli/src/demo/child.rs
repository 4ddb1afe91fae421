//! The demo's MCP server: an ordinary program that does not know valetkey and uses the AWS SDK's default chain.

use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_types::error::display::DisplayErrorContext;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use valetkey::SessionContext;
use valetkey::mcp::Gateway;
use valetkey::tools::{Tool, ToolDefinition, ToolOutput, ToolSet};

use crate::error::CliError;

/// How often the server checks whether the awaited file exists.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Serves one tool on standard input and output until the client disconnects. With `keep_client` all calls use one AWS
/// client, which caches credentials.
pub(crate) async fn serve_child(keep_client: bool) -> Result<ExitCode, CliError> {
    let tools = ToolSet::default().with(CallerIdentityTool::new(keep_client))?;
    Gateway::new(SessionContext::builder().build(), tools).serve_stdio(CancellationToken::new()).await?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the chain of causes without the debug dump that follows it.
fn error_text(context: &str) -> &str {
    context.split_once(" (").map_or(context, |(words, _dump)| words)
}

/// Waits until a file exists at `path`.
pub(super) async fn wait_for_file(path: &str) {
    while !tokio::fs::try_exists(path).await.unwrap_or(true) {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// A tool that returns the server's AWS identity.
struct CallerIdentityTool {
    definition: ToolDefinition,
    /// The shared configuration, with `keep_client`.
    shared_config: Option<OnceCell<SdkConfig>>,
}

impl CallerIdentityTool {
    fn new(keep_client: bool) -> Self {
        let input = json!({
            "type": "object",
            "properties": {"once_exists": {"type": "string", "description": "Wait until this file exists"}},
        });
        let definition =
            ToolDefinition::new("get_caller_identity", "Returns the caller's identity from AWS STS.", input);
        Self { definition, shared_config: keep_client.then(OnceCell::new) }
    }

    /// Returns a new default chain for each call, as in most servers, or the shared one.
    async fn load_config(&self) -> SdkConfig {
        let load = || aws_config::load_defaults(BehaviorVersion::latest());
        match &self.shared_config {
            Some(kept) => kept.get_or_init(load).await.clone(),
            None => load().await,
        }
    }
}

#[async_trait]
impl Tool for CallerIdentityTool {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, input: Value) -> ToolOutput {
        if let Some(path) = input["once_exists"].as_str() {
            // Signals that the call has arrived, then waits.
            let _written = tokio::fs::write(format!("{path}.waiting"), "").await;
            wait_for_file(path).await;
        }
        let config = self.load_config().await;
        let key = match config.credentials_provider() {
            Some(provider) => {
                aws_credential_types::provider::ProvideCredentials::provide_credentials(&provider).await.ok()
            }
            None => None,
        };
        match aws_sdk_sts::Client::new(&config).get_caller_identity().send().await {
            Ok(identity) => ToolOutput::json(json!({
                "account": identity.account(),
                "arn": identity.arn(),
                "pid": std::process::id(),
                "key_suffix": key.as_ref().and_then(|key| key.access_key_id().get(16..)),
            })),
            Err(error) => ToolOutput::failed(format!(
                "the AWS SDK failed: {}",
                error_text(&DisplayErrorContext(error).to_string())
            )),
        }
    }
}
