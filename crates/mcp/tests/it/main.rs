//! The MCP host, gateway and credential endpoint, with real child processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

mod canary;
mod child;
mod endpoint;
mod gateway;
mod host;
mod host_fixture;
#[cfg(feature = "http")]
mod http;
mod keys;
mod process;
mod real;
mod resolver;
mod role_fixture;
