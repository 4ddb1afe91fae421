//! Runs MCP servers with one session's AWS credentials, and serves the session's own tools over MCP.
//!
//! - [`McpHost`] starts the servers of an `mcpServers` file as child processes of a session, lists their tools and
//!   calls them. The credentials of a call are chosen when the call is made.
//! - [`Gateway`] serves these tools, together with the credential tools, to any MCP client.
//! - `http::HttpGateway`, with the feature `http`, serves many principals over HTTP, each with sessions of their own.
//! - [`CredentialEndpoint`] is the loopback endpoint from which child processes read the session's current credentials.
//! - [`child`] runs any program as a child process of a session.
//!
//! Only this crate depends on `rmcp`. `rmcp` logs whole messages, some of them as warnings: wherever logs are kept, cap
//! its log target with [`RMCP_LOG_DIRECTIVE`].
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod child;
pub mod config;
mod connection;
pub mod endpoint;
mod gateway;
mod host;
#[cfg(feature = "http")]
pub mod http;
mod json;
mod redact;

pub use config::McpConfig;
pub use endpoint::CredentialEndpoint;
pub use gateway::Gateway;
pub use host::{McpHost, McpHostBuilder, ProxiedTool, ServerFault, ToolCatalog};
pub use redact::Redactor;

/// Directives for an `EnvFilter` that silence log targets which would otherwise log messages, and secrets with them.
pub const RMCP_LOG_DIRECTIVE: &str = "rmcp=error";

/// Compiles the Rust code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
