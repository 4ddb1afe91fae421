//! A gateway for tests with real MCP clients. It serves the credential tools and the servers of a configuration file.

use std::env;
use std::error::Error;

use tokio_util::sync::CancellationToken;
use valetkey_core::SessionContext;
use valetkey_mcp::child::HostEnvironment;
use valetkey_mcp::config::VarLookup;
use valetkey_mcp::{Gateway, McpConfig, McpHost};
use valetkey_tools::ToolSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let file = env::args_os().nth(1).ok_or("name a configuration file")?;
    let variables = VarLookup::new(|name| env::var(name).ok());
    let config = McpConfig::parse(&std::fs::read_to_string(file)?, &variables)?;
    let session = SessionContext::builder().build();
    let host =
        McpHost::builder(&session, config).environment(HostEnvironment::from_process()).start().await?;
    let tools = ToolSet::for_session(session.clone());
    Ok(Gateway::new(session, tools).with_host(host).serve_stdio(CancellationToken::new()).await?)
}
