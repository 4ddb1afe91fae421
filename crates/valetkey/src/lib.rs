//! Session-scoped AWS credentials for AI agents: one dependency, with features for the optional parts.
//!
//! The core types are re-exported at the root; providers are in `backends`, the agent tools in `tools`, MCP in `mcp`.
// The example in the README needs this feature.
#![cfg_attr(any(not(doctest), feature = "sts"), doc = include_str!("../README.md"))]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use valetkey_core::*;

/// The providers, one per feature.
#[cfg(any(
    feature = "memory",
    feature = "env",
    feature = "sts",
    feature = "secrets-manager",
    feature = "kms",
    feature = "process",
    feature = "sdk",
    feature = "ambient"
))]
pub mod backends {
    pub use valetkey_backends::*;
}

/// The agent tools of a session.
#[cfg(feature = "tools")]
pub mod tools {
    pub use valetkey_tools::*;
}

/// MCP host, gateway and credential endpoint.
#[cfg(feature = "mcp")]
pub mod mcp {
    pub use valetkey_mcp::*;
}

/// The store of the sessions that several gateways serve.
#[cfg(feature = "http")]
pub mod store {
    pub use valetkey_store::*;
}

/// Compiles the Rust code in the README of the repository.
#[cfg(all(doctest, feature = "sts", feature = "sdk"))]
#[doc = include_str!("../../../README.md")]
mod readme {}

/// Compiles the Rust code in the migration guide.
#[cfg(all(doctest, feature = "sts", feature = "mcp"))]
#[doc = include_str!("../../../docs/migration.md")]
mod migration {}

/// Compiles the quick start for Rust.
#[cfg(all(doctest, feature = "sts", feature = "sdk"))]
#[doc = include_str!("../../../docs/quick-start/rust.md")]
mod quick_start {}
