//! Session-scoped AWS credentials for AI agents: one dependency line, features choose the rest.
#![doc = include_str!("../../../README.md")]
//! # The crate
//!
//! One dependency line for everything: features choose the backends and what is built on them. The words and rules
//! are at the root; providers are in [`backends`], the agent tools in `tools`, MCP in `mcp`.

pub use valetkey_core::*;

/// The providers, one per feature.
pub mod backends {
    pub use valetkey_backends::*;
}

/// The agent tools over a session.
#[cfg(feature = "tools")]
pub mod tools {
    pub use valetkey_tools::*;
}

/// MCP host, gateway and credential endpoint.
#[cfg(feature = "mcp")]
pub mod mcp {
    pub use valetkey_mcp::*;
}
