//! The agent tools over a session: what a model may call, and what it is told.
//!
//! A [`Tool`] is neutral: a definition and a call, for any agent framework or protocol. A [`ToolSet`] holds the tools
//! that are bound to one [`SessionContext`](valetkey_core::SessionContext). Every failure is a result, no result holds
//! a secret unless the host asked for [`SecretExposure::Reveal`], and no input is repeated in an error.
//!
//! ```
//! # use serde_json::json;
//! # use valetkey_core::SessionContext;
//! # use valetkey_tools::ToolSet;
//! # async fn demo() {
//! let tools = ToolSet::for_session(SessionContext::builder().build());
//! let output = tools.call("set_aws_credentials_context", json!({"credentials_json": "{}"})).await;
//! assert_eq!(output.map(|output| output.text).as_deref(), Some("Error: Missing required field 'access_key_id'"));
//! # }
//! ```

mod arguments;
mod credentials;
mod service;
mod sessions;
mod set;
mod stack_job;
mod tool;

pub use credentials::SecretExposure;
pub use sessions::CREDENTIAL_SESSION_ARG as CREDENTIAL_SESSION;
pub use set::{ToolSet, ToolSetBuilder};
pub use tool::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};
