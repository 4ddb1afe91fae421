//! Samples to copy: the agent tools as tools of agent frameworks, with one instance of each tool for all sessions.
//!
//! The session is part of a call, never of a tool: an agent is built once, and each of its invocations acts with the
//! [`ToolSet`](valetkey::tools::ToolSet) of its own session. A call without a session is refused. It never acts as the host
//! or in the session of another invocation.

#[cfg(feature = "adk")]
pub mod adk;
mod narrowing;
#[cfg(feature = "rig")]
pub mod rig;

pub use narrowing::Narrowing;
use valetkey::tools::{ToolDefinition, ToolSet};
use valetkey::{Error, ErrorKind, SessionContext};

/// Returns the definitions of the agent tools, which are the same for every session.
#[must_use]
pub fn tool_definitions() -> Vec<ToolDefinition> {
    ToolSet::for_session(SessionContext::builder().build()).definitions().cloned().collect()
}

fn no_session() -> Error {
    Error::new(ErrorKind::NotConfigured, "the call belongs to no credential session")
        .with_next_step("the host must give each invocation the tools of its session; nothing was done")
}

fn no_tool() -> Error {
    Error::new(ErrorKind::NotConfigured, "the session has no tool of this name")
}
