//! Servers that run with fewer permissions than the session: tools under a policy, and calls for a narrowed session.

mod eviction;
mod lifetime;
mod policies;
mod sessions;

use serde_json::{Value, json};
use valetkey_core::SessionContext;
use valetkey_mcp::McpHostBuilder;
use valetkey_mcp::child::Delivery;

use crate::host_fixture::{HostFixture, fixture_server};
use crate::role_fixture::{RoleProviderFixture, read_policy, write_policy};

const DELIVERIES: [Delivery; 2] = [Delivery::Endpoint, Delivery::Env];

/// Returns a session with a role and one server, whose `whoami` may read, `slow` may write, and other tools may do
/// everything.
async fn host_with_policies(
    delivery: Delivery,
    describe: impl FnOnce(McpHostBuilder) -> McpHostBuilder,
) -> HostFixture {
    let fixture = HostFixture::with_builder([("fixture", fixture_server(delivery))], |host| {
        let host = host.tool_policy("fixture", "whoami", read_policy()).tool_policy(
            "fixture",
            "slow",
            write_policy(),
        );
        describe(host)
    });
    let fixture = fixture.await;
    set_role(&fixture.session, 'x');
    fixture
}

/// Makes a role the session's provider from now on.
fn set_role(session: &SessionContext, letter: char) {
    session.set_provider(RoleProviderFixture::new(letter)).unwrap();
}

/// Returns the permissions of the keys in a result, and the provider's letter.
fn access_and_role(answer: &Value) -> &str {
    &answer["key"].as_str().unwrap()[..2]
}

fn narrowed_pids(fixture: &HostFixture) -> Vec<u32> {
    fixture.host.narrowed_pids().map(|(_, pid)| pid).collect()
}

/// Calls `slow` without making it wait for another process.
async fn call_slow(fixture: &HostFixture) -> Value {
    let name = json!({"name": "gone-ahead"});
    let tmp = fixture.call("fixture__slow", name);
    let go = async {
        crate::process::wait_until("the call has begun", || {
            narrowed_pids(fixture).into_iter().any(|pid| {
                let began = tmp_dir_of_process(pid).join("gone-ahead.began");
                began.exists() && std::fs::write(tmp_dir_of_process(pid).join("gone-ahead"), "").is_ok()
            })
        })
        .await;
    };
    tokio::join!(tmp, go).0
}

/// Returns the temporary folder of a process.
fn tmp_dir_of_process(pid: u32) -> std::path::PathBuf {
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
    let folder = environment.split('\0').find_map(|entry| entry.strip_prefix("TMPDIR="));
    folder.unwrap_or("/nowhere").into()
}
