//! The agent tools of a session: the operations that a model may call, and their results.
//!
//! A [`Tool`] is a definition and a call, independent of any agent framework or protocol. A [`ToolSet`] holds the tools
//! that are bound to one [`SessionContext`](valetkey_core::SessionContext). Every failure is returned as a
//! [`ToolOutput`]. No output contains a secret unless the host opted in with [`SecretExposure::Reveal`], and no error
//! repeats an input.
//!
//! # Examples
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
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod arguments;
mod credentials;
mod narrowed;
mod service;
mod sessions;
mod set;
mod stack_job;
mod tool;

pub use access::{
    AccessDecision, AccessRequest, Approver, REQUEST_ACCESS_TOOL as REQUEST_ACCESS, RequestableAccess,
    SignInRequest,
};
pub use credentials::{REFRESH_CREDENTIALS_TOOL as REFRESH_CREDENTIALS, SecretExposure};
pub use narrowed::NarrowedSession;
pub use sessions::CREDENTIAL_SESSION_ARG as CREDENTIAL_SESSION;
pub use set::{ToolSet, ToolSetBuilder};
pub use tool::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Compiles the Rust code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
