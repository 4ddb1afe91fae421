//! Servers that run with fewer permissions than the session: tools under a policy, and calls for a narrowed session.

mod eviction;
mod lifetime;
mod policies;
mod sessions;

use serde_json::{Value, json};
use valetkey_core::SessionContext;
use valetkey_mcp::McpHostBuilder;
use valetkey_mcp::child::Delivery;

use crate::role::{RoleProviderFixture, reading, writing};
use crate::stage::{Stage, fixture};

const DELIVERIES: [Delivery; 2] = [Delivery::Endpoint, Delivery::Env];

/// Returns a session with a role and one server, whose `whoami` may read, `slow` may write, and other tools may do
/// everything.
async fn stage(delivery: Delivery, describe: impl FnOnce(McpHostBuilder) -> McpHostBuilder) -> Stage {
    let stage = Stage::described([("fixture", fixture(delivery))], |host| {
        let host = host.tool_policy("fixture", "whoami", reading()).tool_policy("fixture", "slow", writing());
        describe(host)
    });
    let stage = stage.await;
    play(&stage.session, 'x');
    stage
}

/// Makes a role the session's provider from now on.
fn play(session: &SessionContext, letter: char) {
    session.set_provider(RoleProviderFixture::new(letter)).unwrap();
}

/// Returns the permissions of the keys in a result, and the provider's letter.
fn may(answer: &Value) -> &str {
    &answer["key"].as_str().unwrap()[..2]
}

fn narrowed_pids(stage: &Stage) -> Vec<u32> {
    stage.host.narrowed_pids().map(|(_, pid)| pid).collect()
}

/// Calls `slow` without making it wait for another process.
async fn call_slow(stage: &Stage) -> Value {
    let name = json!({"name": "gone-ahead"});
    let tmp = stage.call("fixture__slow", name);
    let go = async {
        crate::process::wait_until("the call has begun", || {
            narrowed_pids(stage).into_iter().any(|pid| {
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
