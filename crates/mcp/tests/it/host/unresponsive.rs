//! Servers that start late, never list, never respond or stop reading delay no other server, and leave no process.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use crate::host_fixture::{HostFixture, fixture_server, raw_server, server};
use crate::process::{is_running, wait_until};

/// A limit for operations that would otherwise never end.
const TEST_TIMEOUT: Duration = Duration::from_secs(25);

pub(crate) fn unresponsive_server(mode: &str, folder: &Path) -> ServerConfig {
    let mut server = server("unresponsive_server", Delivery::Env);
    server.args = vec![mode.to_owned(), folder.to_str().unwrap().to_owned()];
    server
}

/// A session with the credentials AAAA, with which its server never sends its first response.
struct LateServerFixture {
    host: HostFixture,
    marker_dir: TempDir,
}

impl LateServerFixture {
    async fn new() -> Self {
        let notes = tempfile::tempdir().unwrap();
        let fixture =
            HostFixture::without_credentials([("late", unresponsive_server("late", notes.path()))]).await;
        fixture.catalog().await;
        fixture.set("AAAA");
        Self { host: fixture, marker_dir: notes }
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
    let fixture = LateServerFixture::new().await;
    let message = fixture.call_while(|| fixture.host.session.clear()).await;
    assert!(error_text(&message).contains("set_aws_credentials_context"), "{message}");
    fixture.host.host.shutdown().await;
}

#[tokio::test]
async fn rotation_during_start_restarts_with_new_credentials() {
    let fixture = LateServerFixture::new().await;
    let result = fixture.call_while(|| fixture.host.set("BBBB")).await;
    assert_eq!(result["structuredContent"]["key"], "BBBB", "{result}");
    fixture.host.host.shutdown().await;
}

#[tokio::test]
async fn close_during_start_cancels_the_start() {
    let fixture = LateServerFixture::new().await;
    let message = fixture.call_while(|| fixture.host.session.close()).await;
    assert!(error_text(&message).contains("closed"), "{message}");
    fixture.host.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_close_kills_server_without_grace_period() {
    let notes = tempfile::tempdir().unwrap();
    let fixture =
        HostFixture::without_credentials([("plain", unresponsive_server("plain", notes.path()))]).await;
    fixture.set("AAAA");
    fixture.call("plain__tool", json!({})).await;
    let pid = fixture.pid("plain").unwrap();
    fixture.session.close();
    wait_until("it is gone", || !is_running(pid)).await;
    assert!(!notes.path().join("left").exists(), "its input was closed, and it went on");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn list_timeout_reports_error_and_lists_others() {
    let servers = [("mute", server_without_tool_list()), ("fixture", fixture_server(Delivery::Endpoint))];
    let fixture =
        HostFixture::with_builder(servers, |host| host.list_timeout(Duration::from_millis(300))).await;
    let catalog = timeout(TEST_TIMEOUT, fixture.catalog()).await.expect("the list is not held up");
    assert!(catalog.tools.iter().any(|tool| tool.name == "fixture__whoami"), "{catalog:?}");
    let message = catalog.errors[0].error.to_string();
    assert!(message.contains("did not answer within 0.3 s"), "{message}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_cancelled_during_tool_lookup_returns() {
    let fixture = HostFixture::without_credentials([("mute", server_without_tool_list())]).await;
    let cancelled = CancellationToken::new();
    let call = fixture.host.call("mute__tool", None, &cancelled);
    let cancel = async {
        wait_until("the server runs", || fixture.pid("mute").is_some()).await;
        cancelled.cancel();
    };
    let call = async { tokio::join!(call, cancel) };
    let (result, ()) = timeout(TEST_TIMEOUT, call).await.expect("the call ends");
    let result = result.unwrap();
    assert!(error_text(&result).contains("cancelled"), "{result}");
    fixture.host.shutdown().await;
}

fn server_without_tool_list() -> ServerConfig {
    unresponsive_server("listless", Path::new(""))
}

#[tokio::test]
async fn call_timeout_cancels_call_at_server() {
    let call_timeout = Duration::from_millis(300);
    let fixture =
        HostFixture::with_builder([("raw", raw_server("cancelled"))], |host| host.call_timeout(call_timeout))
            .await;
    fixture.set("AAAA");
    fixture.catalog().await;
    let message =
        timeout(TEST_TIMEOUT, fixture.call_raw("raw__tool", json!({}))).await.expect("the call ends");
    assert!(error_text(&message).contains("did not answer within 0.3 s"), "{message}");
    assert_eq!(message["structuredContent"]["error"]["code"], "timed_out", "{message}");
    let folder = crate::host::tmp_dir_of_server(&fixture, "raw");
    wait_until("the server was notified", || folder.join("cancelled").exists()).await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn shutdown_stops_server_that_does_not_read_input() {
    let notes = tempfile::tempdir().unwrap();
    let fixture =
        HostFixture::without_credentials([("deaf", unresponsive_server("deaf", notes.path()))]).await;
    fixture.set("AAAA");
    fixture.catalog().await;
    let pid = fixture.pid("deaf").unwrap();
    let cancelled = CancellationToken::new();
    let first = fixture.host.call("deaf__tool", None, &cancelled);
    // Larger than the buffer of a pipe.
    let large = json!({"text": "x".repeat(1 << 20)}).as_object().cloned();
    let second = async {
        wait_until("it has stopped reading", || notes.path().join("deaf").exists()).await;
        fixture.host.call("deaf__tool", large, &cancelled).await
    };
    let cancel = async {
        wait_until("its input is full", || unread_input_bytes(pid) >= 1 << 16).await;
        cancelled.cancel();
    };
    let calls = async { tokio::join!(first, second, cancel) };
    let (first, second, ()) = timeout(TEST_TIMEOUT, calls).await.expect("what is taken back ends");
    assert!([first, second].iter().all(|result| result.as_ref().unwrap()["isError"] == true));
    timeout(TEST_TIMEOUT, fixture.host.shutdown()).await.expect("the host stops");
    assert!(!is_running(pid));
}

/// Returns the number of bytes of its input that a process has not read yet.
fn unread_input_bytes(pid: u32) -> u64 {
    let input = std::fs::File::open(format!("/proc/{pid}/fd/0")).unwrap();
    rustix::io::ioctl_fionread(input).unwrap()
}
