//! Runs MCP servers with one session's AWS credentials, and serves the session's own tools over MCP.
//!
//! - [`McpHost`] starts the servers of an `mcpServers` file as child processes of a session, or connects to those at a
//!   URL, lists their tools and calls them. The credentials of a call are chosen when the call is made.
//! - [`Gateway`] serves these tools, together with the credential tools, to any MCP client.
//! - `http::HttpGateway`, with the feature `http`, serves many principals over HTTP, each with sessions of their own.
//! - [`CredentialEndpoint`] is the loopback endpoint from which child processes read the session's current credentials.
//! - [`signing`] signs the AWS requests of child processes that hold no working key.
//! - [`child`] runs any program as a child process of a session.
//!
//! # Examples
//! A gateway for one MCP client, with the servers of a configuration file:
//! ```no_run
//! use tokio_util::sync::CancellationToken;
//! use valetkey_core::SessionContext;
//! use valetkey_mcp::child::HostEnvironment;
//! use valetkey_mcp::config::VarLookup;
//! use valetkey_mcp::{Gateway, McpConfig, McpHost};
//! use valetkey_tools::ToolSet;
//!
//! # async fn example(file: &str) -> valetkey_core::Result<()> {
//! let session = SessionContext::builder().build();
//! let variables = VarLookup::new(|name| std::env::var(name).ok());
//! let config = McpConfig::parse(file, &variables)?;
//! for failed in &config.errors {
//!     eprintln!("{}: {}", failed.server, failed.error);
//! }
//! let host = McpHost::builder(&session, config).environment(HostEnvironment::from_process()).start().await?;
//! let tools = ToolSet::for_session(session.clone());
//! Gateway::new(session, tools).with_host(host).serve_stdio(CancellationToken::new()).await
//! # }
//! ```
//!
//! Only this crate depends on `rmcp`. `rmcp` logs whole messages, some of them as warnings: wherever logs are kept, cap
//! its log target with [`RMCP_LOG_DIRECTIVE`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_requests;
mod catalog;
pub mod child;
mod client;
pub mod config;
mod connection;
pub mod endpoint;
mod gateway;
mod host;
#[cfg(feature = "http")]
pub mod http;
mod https_client;
mod json;
mod meta;
mod peer;
mod redact;
mod remote;
mod resolver;
mod server;
mod shared_proxy;
mod subscriptions;
mod tasks;

pub use access_requests::{AccessRequests, PendingRequest, RequestSubject};
pub use catalog::{ProxiedTool, ServerError, ToolCatalog};
pub use config::McpConfig;
pub use endpoint::CredentialEndpoint;
pub use gateway::Gateway;
pub use host::{McpHost, McpHostBuilder};
pub use redact::Redactor;
pub use resolver::McpToolResolver;
pub use server::{ProcessLimits, ProcessQuota};
pub use valetkey_signing as signing;

/// Directives for an `EnvFilter` that silence log targets which would otherwise log messages, and secrets with them.
///
/// # Examples
/// ```
/// use tracing_subscriber::EnvFilter;
/// use valetkey_mcp::RMCP_LOG_DIRECTIVE;
///
/// let filter = EnvFilter::new("debug").add_directive(RMCP_LOG_DIRECTIVE.parse()?);
/// assert!(filter.to_string().contains("rmcp=error"));
/// # Ok::<(), tracing_subscriber::filter::ParseError>(())
/// ```
pub const RMCP_LOG_DIRECTIVE: &str = "rmcp=error";

/// Compiles the Rust code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
