//! `valetkey serve`: MCP on standard input and output, from the first message to the end of the last process.

mod acceptance;
mod access;
mod account_switch;
mod canary;
mod child;
pub(crate) mod client_fixture;
mod errors;
mod exchange;
pub(crate) mod http;
pub(crate) mod issuers;
mod lifecycle;
mod masking;
mod reload;
mod scope;
mod session_dir;
pub(crate) mod shutdown;
mod tools;

use serde_json::{Value, json};

use crate::program_fixture::ProgramFixture;

/// The tool of the demo's server, which has the name `aws`.
pub(crate) const CALLER_IDENTITY_TOOL: &str = "aws__get_caller_identity";

/// A fixture with one server, `aws`, that looks up its identity at `url`.
pub(crate) fn fixture_with_server(url: &str) -> ProgramFixture {
    ProgramFixture::new().file("mcp.json", mcp_config(json!({"aws": demo_server_entry(url)})))
}

pub(crate) fn mcp_config(servers: Value) -> String {
    json!({ "mcpServers": servers }).to_string()
}

/// The program under test as an ordinary MCP server that uses the AWS SDK.
pub(crate) fn demo_server_entry(url: &str) -> Value {
    json!({
        "command": env!("CARGO_BIN_EXE_valetkey"),
        "args": ["demo-server"],
        "env": {"AWS_ENDPOINT_URL": url},
    })
}
