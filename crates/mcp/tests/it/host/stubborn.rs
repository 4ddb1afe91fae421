//! Servers that start late, never list, never respond or stop reading delay no other server, and leave no process.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use crate::process::{is_running, wait_until};
use crate::stage::{Stage, fixture, raw_server, server};

/// A limit for operations that would otherwise never end.
const TEST_TIMEOUT: Duration = Duration::from_secs(25);

pub(crate) fn stubborn_server(mode: &str, folder: &Path) -> ServerConfig {
    let mut server = server("stubborn_server", Delivery::Env);
    server.args = vec![mode.to_owned(), folder.to_str().unwrap().to_owned()];
    server
}

/// A session with the credentials AAAA, with which its server never sends its first response.
struct LateServerFixture {
    host: Stage,
    marker_dir: TempDir,
}

impl LateServerFixture {
    async fn new() -> Self {
        let notes = tempfile::tempdir().unwrap();
        let stage = Stage::without_credentials([("late", stubborn_server("late", notes.path()))]).await;
        stage.catalog().await;
        stage.set("AAAA");
        Self { host: stage, marker_dir: notes }
    }

    /// Makes a call, runs `act` while the server starts with AAAA, and waits until that process is gone.
    async fn call_while<T>(&self, act: impl FnOnce() -> T) -> Value {
        let started = self.marker_dir.path().join("AAAA");
        let meanwhile = async {
            wait_until("the start has begun", || started.exists()).await;
            let pid = std::fs::read_to_string(&started).unwrap().parse().unwrap();
            assert!(is_running(pid));
            act();
            wait_until("the process that was being started is gone", || !is_running(pid)).await;
        };
        let (result, ()) = tokio::join!(self.host.call_raw("late__tool", json!({})), meanwhile);
        result
    }
}

fn error_text(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn clear_during_start_cancels_the_start() {
    let late = LateServerFixture::new().await;
    let told = late.call_while(|| late.host.session.clear()).await;
    assert!(error_text(&told).contains("set_aws_credentials_context"), "{told}");
    late.host.host.shutdown().await;
}

#[tokio::test]
async fn rotation_during_start_restarts_with_new_credentials() {
    let late = LateServerFixture::new().await;
    let result = late.call_while(|| late.host.set("BBBB")).await;
    assert_eq!(result["structuredContent"]["key"], "BBBB", "{result}");
    late.host.host.shutdown().await;
}

#[tokio::test]
async fn close_during_start_cancels_the_start() {
    let late = LateServerFixture::new().await;
    let told = late.call_while(|| late.host.session.close()).await;
    assert!(error_text(&told).contains("closed"), "{told}");
    late.host.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_close_kills_server_without_grace_period() {
    let notes = tempfile::tempdir().unwrap();
    let stage = Stage::without_credentials([("plain", stubborn_server("plain", notes.path()))]).await;
    stage.set("AAAA");
    stage.call("plain__tool", json!({})).await;
    let pid = stage.pid("plain").unwrap();
    stage.session.close();
    wait_until("it is gone", || !is_running(pid)).await;
    assert!(!notes.path().join("left").exists(), "its input was closed, and it went on");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn list_timeout_reports_error_and_lists_others() {
    let servers = [("mute", listless_server()), ("fixture", fixture(Delivery::Endpoint))];
    let stage = Stage::described(servers, |host| host.list_timeout(Duration::from_millis(300))).await;
    let catalog = timeout(TEST_TIMEOUT, stage.catalog()).await.expect("the list is not held up");
    assert!(catalog.tools.iter().any(|tool| tool.name == "fixture__whoami"), "{catalog:?}");
    let told = catalog.faults[0].error.to_string();
    assert!(told.contains("did not answer within 0.3 s"), "{told}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_cancelled_during_tool_lookup_returns() {
    let stage = Stage::without_credentials([("mute", listless_server())]).await;
    let cancelled = CancellationToken::new();
    let call = stage.host.call("mute__tool", None, &cancelled);
    let take_back = async {
        wait_until("the server runs", || stage.pid("mute").is_some()).await;
        cancelled.cancel();
    };
    let call = async { tokio::join!(call, take_back) };
    let (result, ()) = timeout(TEST_TIMEOUT, call).await.expect("the call ends");
    let result = result.unwrap();
    assert!(error_text(&result).contains("cancelled"), "{result}");
    stage.host.shutdown().await;
}

fn listless_server() -> ServerConfig {
    stubborn_server("listless", Path::new(""))
}

#[tokio::test]
async fn call_timeout_cancels_call_at_server() {
    let call_timeout = Duration::from_millis(300);
    let stage =
        Stage::described([("raw", raw_server("cancelled"))], |host| host.call_timeout(call_timeout)).await;
    stage.set("AAAA");
    stage.catalog().await;
    let told = timeout(TEST_TIMEOUT, stage.call_raw("raw__tool", json!({}))).await.expect("the call ends");
    assert!(error_text(&told).contains("did not answer within 0.3 s"), "{told}");
    assert_eq!(told["structuredContent"]["error"]["code"], "timed_out", "{told}");
    let folder = crate::host::tmp_dir_of_server(&stage, "raw");
    wait_until("the server was told", || folder.join("cancelled").exists()).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn shutdown_stops_server_that_does_not_read_input() {
    let notes = tempfile::tempdir().unwrap();
    let stage = Stage::without_credentials([("deaf", stubborn_server("deaf", notes.path()))]).await;
    stage.set("AAAA");
    stage.catalog().await;
    let pid = stage.pid("deaf").unwrap();
    let cancelled = CancellationToken::new();
    let first = stage.host.call("deaf__tool", None, &cancelled);
    // Larger than the buffer of a pipe.
    let large = json!({"text": "x".repeat(1 << 20)}).as_object().cloned();
    let second = async {
        wait_until("it has stopped reading", || notes.path().join("deaf").exists()).await;
        stage.host.call("deaf__tool", large, &cancelled).await
    };
    let take_back = async {
        wait_until("its input is full", || unread_input_bytes(pid) >= 1 << 16).await;
        cancelled.cancel();
    };
    let calls = async { tokio::join!(first, second, take_back) };
    let (first, second, ()) = timeout(TEST_TIMEOUT, calls).await.expect("what is taken back ends");
    assert!([first, second].iter().all(|result| result.as_ref().unwrap()["isError"] == true));
    timeout(TEST_TIMEOUT, stage.host.shutdown()).await.expect("the host stops");
    assert!(!is_running(pid));
}

/// Returns the number of bytes of its input that a process has not read yet.
fn unread_input_bytes(pid: u32) -> u64 {
    let input = std::fs::File::open(format!("/proc/{pid}/fd/0")).unwrap();
    rustix::io::ioctl_fionread(input).unwrap()
}
