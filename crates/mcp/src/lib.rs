//! MCP servers that run with one session's credentials, and the session's own tools served as MCP.
//!
//! - [`McpHost`] starts the servers of an `mcpServers` file as children of a session, lists their tools and calls
//!   them. What a call runs with is decided at the call.
//! - [`Gateway`] serves the same, together with the credential tools, to any MCP client.
//! - [`CredentialEndpoint`] is the loopback address at which children read the session's current set.
//! - [`child`] is how any program is run as a child of a session.
//!
//! `rmcp` is named only in this crate. It logs whole messages, some of them as warnings: keep the target in [`RMCP_LOG_DIRECTIVE`]
//! capped wherever logs are kept.

pub mod child;
pub mod config;
mod connection;
pub mod endpoint;
mod gateway;
mod host;
mod json;
mod redact;

pub use config::McpConfig;
pub use endpoint::CredentialEndpoint;
pub use gateway::Gateway;
pub use host::{McpHost, McpHostBuilder, ProxiedTool, ServerFault, ToolCatalog};
pub use redact::Redactor;

/// Directives for an `EnvFilter`: targets that would log messages, and with them secrets, if they were let.
pub const RMCP_LOG_DIRECTIVE: &str = "rmcp=error";
