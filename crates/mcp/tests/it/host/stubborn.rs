//! Servers that start late, never list, never answer or stop reading hold nobody up, and nothing of theirs is left.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use crate::process::{runs, until};
use crate::stage::{Stage, fixture, raw, server};

/// For what would otherwise never end.
const BOUND: Duration = Duration::from_secs(25);

pub(crate) fn stubborn(mode: &str, folder: &Path) -> ServerConfig {
    let mut server = server("stubborn_server", Delivery::Env);
    server.args = vec![mode.to_owned(), folder.to_str().unwrap().to_owned()];
    server
}

/// A session that holds AAAA, with which its server never gets to its first answer.
struct Late {
    stage: Stage,
    notes: TempDir,
}

impl Late {
    async fn new() -> Self {
        let notes = tempfile::tempdir().unwrap();
        let stage = Stage::bare([("late", stubborn("late", notes.path()))]).await;
        stage.catalog().await;
        stage.set("AAAA");
        Self { stage, notes }
    }

    /// Calls, does `act` while the server starts with AAAA, and waits until that process is gone.
    async fn call_while<T>(&self, act: impl FnOnce() -> T) -> Value {
        let started = self.notes.path().join("AAAA");
        let meanwhile = async {
            until("the start has begun", || started.exists()).await;
            let pid = std::fs::read_to_string(&started).unwrap().parse().unwrap();
            assert!(runs(pid));
            act();
            until("the process that was being started is gone", || !runs(pid)).await;
        };
        let (result, ()) = tokio::join!(self.stage.result("late__tool", json!({})), meanwhile);
        result
    }
}

fn text(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn clearing_is_felt_while_a_server_starts() {
    let late = Late::new().await;
    let told = late.call_while(|| late.stage.session.clear()).await;
    assert!(text(&told).contains("set_aws_credentials_context"), "{told}");
    late.stage.host.shutdown().await;
}

#[tokio::test]
async fn a_rotation_is_felt_while_a_server_starts_and_the_call_runs_with_the_new_set() {
    let late = Late::new().await;
    let result = late.call_while(|| late.stage.set("BBBB")).await;
    assert_eq!(result["structuredContent"]["key"], "BBBB", "{result}");
    late.stage.host.shutdown().await;
}

#[tokio::test]
async fn closing_is_felt_while_a_server_starts() {
    let late = Late::new().await;
    let told = late.call_while(|| late.stage.session.close()).await;
    assert!(text(&told).contains("closed"), "{told}");
    late.stage.host.shutdown().await;
}

#[tokio::test]
async fn closing_kills_a_server_that_holds_keys_before_it_can_do_anything_else() {
    let notes = tempfile::tempdir().unwrap();
    let stage = Stage::bare([("plain", stubborn("plain", notes.path()))]).await;
    stage.set("AAAA");
    stage.call("plain__tool", json!({})).await;
    let pid = stage.pid("plain").unwrap();
    stage.session.close();
    until("it is gone", || !runs(pid)).await;
    assert!(!notes.path().join("left").exists(), "its input was closed, and it went on");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn a_server_that_never_lists_is_a_fault_and_the_others_are_listed() {
    let servers = [("mute", raw_listless()), ("fixture", fixture(Delivery::Endpoint))];
    let stage = Stage::described(servers, |host| host.list_patience(Duration::from_millis(300))).await;
    let catalog = timeout(BOUND, stage.catalog()).await.expect("the list is not held up");
    assert!(catalog.tools.iter().any(|tool| tool.name == "fixture__whoami"), "{catalog:?}");
    let told = catalog.faults[0].error.to_string();
    assert!(told.contains("did not answer within 0.3 s"), "{told}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn a_call_that_is_taken_back_while_its_tool_is_looked_for_ends() {
    let stage = Stage::bare([("mute", raw_listless())]).await;
    let cancelled = CancellationToken::new();
    let call = stage.host.call("mute__tool", None, &cancelled);
    let take_back = async {
        until("the server runs", || stage.pid("mute").is_some()).await;
        cancelled.cancel();
    };
    let call = async { tokio::join!(call, take_back) };
    let (result, ()) = timeout(BOUND, call).await.expect("the call ends");
    let result = result.unwrap();
    assert!(text(&result).contains("cancelled"), "{result}");
    stage.host.shutdown().await;
}

fn raw_listless() -> ServerConfig {
    stubborn("listless", Path::new(""))
}

#[tokio::test]
async fn a_call_that_is_never_answered_times_out_and_the_server_is_told() {
    let patience = Duration::from_millis(300);
    let stage = Stage::described([("raw", raw("cancelled"))], |host| host.call_patience(patience)).await;
    stage.set("AAAA");
    stage.catalog().await;
    let told = timeout(BOUND, stage.result("raw__tool", json!({}))).await.expect("the call ends");
    assert!(text(&told).contains("did not answer within 0.3 s"), "{told}");
    assert_eq!(told["structuredContent"]["error"]["code"], "timed_out", "{told}");
    let folder = crate::host::folder(&stage, "raw");
    until("the server was told", || folder.join("cancelled").exists()).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn a_server_that_has_stopped_reading_is_stopped_with_a_write_under_way() {
    let notes = tempfile::tempdir().unwrap();
    let stage = Stage::bare([("deaf", stubborn("deaf", notes.path()))]).await;
    stage.set("AAAA");
    stage.catalog().await;
    let pid = stage.pid("deaf").unwrap();
    let cancelled = CancellationToken::new();
    let first = stage.host.call("deaf__tool", None, &cancelled);
    // More than a pipe holds.
    let large = json!({"text": "x".repeat(1 << 20)}).as_object().cloned();
    let second = async {
        until("it has stopped reading", || notes.path().join("deaf").exists()).await;
        stage.host.call("deaf__tool", large, &cancelled).await
    };
    let take_back = async {
        until("its input is full", || unread(pid) >= 1 << 16).await;
        cancelled.cancel();
    };
    let calls = async { tokio::join!(first, second, take_back) };
    let (first, second, ()) = timeout(BOUND, calls).await.expect("what is taken back ends");
    assert!([first, second].iter().all(|result| result.as_ref().unwrap()["isError"] == true));
    timeout(BOUND, stage.host.shutdown()).await.expect("the host stops");
    assert!(!runs(pid));
}

/// What a process has not read of its input yet, in bytes.
fn unread(pid: u32) -> u64 {
    let input = std::fs::File::open(format!("/proc/{pid}/fd/0")).unwrap();
    rustix::io::ioctl_fionread(input).unwrap()
}
