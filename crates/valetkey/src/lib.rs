//! Session-scoped AWS credentials for AI agents: one dependency line, features choose the rest.
//!
//! The words and rules are at the root; providers are in `backends`, the agent tools in `tools`, MCP in `mcp`. What
//! follows is the README of the repository.
// Its examples need features; whoever tests without them still has the rest.
#![cfg_attr(any(not(doctest), all(feature = "sts", feature = "sdk")), doc = include_str!("../../../README.md"))]

pub use valetkey_core::*;

/// The providers, one per feature.
#[cfg(any(
    feature = "memory",
    feature = "env",
    feature = "sts",
    feature = "secrets-manager",
    feature = "process",
    feature = "sdk",
    feature = "ambient"
))]
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

/// The old designs beside this one: the Rust in the guide must compile.
#[cfg(all(doctest, feature = "sts", feature = "mcp"))]
#[doc = include_str!("../../../docs/migration.md")]
mod migration {}
