//! The host: servers as children of a session.

mod accounts;
mod calls;
mod child_sessions;
mod crash;
mod delivery;
mod environment;
mod masking;
mod narrowed;
mod process_quota;
mod receipts;
mod reconfigure;
mod remote;
mod sessions;
mod shutdown;
mod slow_start;
mod start_errors;
mod tool_names;
pub(crate) mod unresponsive;

use std::path::PathBuf;

use crate::host_fixture::HostFixture;

/// Returns the temporary folder of a running server, from its own environment.
fn tmp_dir_of_server(fixture: &HostFixture, server: &str) -> PathBuf {
    let pid = fixture.pid(server).unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    environment.split('\0').find_map(|entry| entry.strip_prefix("TMPDIR=")).unwrap().into()
}
