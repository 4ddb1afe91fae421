//! The MCP servers and forwarders of the measure `gateway`: `mcp_peer echo|relay|pass-through|pass-through-http`.

use std::process::ExitCode;

fn main() -> ExitCode {
    valetkey_bench::program::mcp_peer()
}
