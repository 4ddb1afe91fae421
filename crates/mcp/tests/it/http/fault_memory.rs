//! The memory of a gateway while one of its servers has a fault: bounded, whatever the server sends.
//!
//! Each gateway runs in a process of its own, which is this test binary with one ignored test, because the tests of one
//! process share its memory.

use std::process::Command;

use http_body_util::BodyExt;
use serde_json::json;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use super::faults::{healthy_beside, list_until, start, start_beside, tool_names};
use crate::host::unresponsive::unresponsive_server;
use crate::host_fixture::{excessive_server, fixture_server, raw_server};

/// What a server with a fault may make the gateway hold beyond what it held with a healthy server, in bytes. A flood and
/// a list without end send any number of bytes; a line alone may have 16 MiB.
const MAX_EXCESS: usize = 32 * 1024 * 1024;

/// As above, for a list of 100,000 tools. Two processes send it, that of the catalog and that of the session, and each
/// parses to at most 640 bytes a tool before all but 10,000 are dropped.
const MAX_LIST_EXCESS: usize = 128 * 1024 * 1024;

/// How often a client repeats what provokes the fault.
const REPETITIONS: usize = 8;

/// Runs an ignored test of this module in a process of its own.
fn run_alone(test: &str) {
    let test = format!("http::fault_memory::{test}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", &test, "--ignored", "--nocapture"]).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains(" 1 passed; 0 failed; 0 ignored;"), "{stdout}");
}

/// Returns a value of `/proc/self/status`, in bytes.
fn memory(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Asserts that the peak of the resident memory is at most `bound` above what was resident when a gateway with a healthy
/// server had served a call.
async fn assert_bounded(name: &'static str, faulty: ServerConfig, bound: usize) {
    let healthy = start(vec![("fixture", fixture_server(Delivery::Endpoint))]).await;
    healthy_beside(&healthy).await;
    healthy.stop().await;
    let before = memory("VmRSS");
    let gateway = start_beside(name, faulty).await;
    let (mut client, _) = healthy_beside(&gateway).await;
    let tool = match name {
        "flooding" => Some("flooding__tool"),
        "huge" => Some("huge__tool0"),
        _ => None,
    };
    for _ in 0..REPETITIONS {
        if let Some(tool) = tool {
            list_until(&mut client, tool).await;
            client.call_ok(tool, json!({})).await;
            // A client that does not read.
            let message = client.message("tools/call", json!({"name": tool, "arguments": {}}));
            let unread = client.open(client.request_for(&message)).await;
            assert_eq!(client.whoami().await.0, "AAAA");
            drop(unread.into_body().collect().await);
        }
        tool_names(&mut client).await;
    }
    gateway.stop().await;
    let excess = memory("VmHWM").saturating_sub(before);
    assert!(excess <= bound, "{name}: {excess} bytes more than with a healthy server");
}

#[test]
fn memory_beside_hung_server_is_bounded() {
    run_alone("hung_server");
}

#[test]
fn memory_beside_slow_server_is_bounded() {
    run_alone("slow_server");
}

#[test]
fn memory_beside_malformed_tools_is_bounded() {
    run_alone("malformed_tools");
}

#[test]
fn memory_beside_flooding_server_is_bounded() {
    run_alone("flooding_server");
}

#[test]
fn memory_of_100_000_tools_is_bounded() {
    run_alone("huge_list");
}

#[test]
fn memory_beside_changing_list_is_bounded() {
    run_alone("changing_list");
}

#[test]
#[should_panic(expected = "0 passed")]
fn memory_test_without_match_is_detected() {
    run_alone("no_such_test");
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn hung_server() {
    assert_bounded("hung", raw_server("mute"), MAX_EXCESS).await;
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn slow_server() {
    let folder = tempfile::tempdir().unwrap();
    assert_bounded("slow", unresponsive_server("slow", folder.path()), MAX_EXCESS).await;
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn malformed_tools() {
    assert_bounded("malformed", raw_server("malformed"), MAX_EXCESS).await;
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn flooding_server() {
    assert_bounded("flooding", excessive_server("flooding"), MAX_EXCESS).await;
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn huge_list() {
    assert_bounded("huge", excessive_server("huge"), MAX_LIST_EXCESS).await;
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn changing_list() {
    assert_bounded("changing", excessive_server("changing"), MAX_EXCESS).await;
}
