//! No process of a server remains, however the gateway ends.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::client_fixture::{McpClientFixture, ProtocolEra};
use super::{CALLER_IDENTITY_TOOL, fixture_with_server};
use crate::aws_fixture::AwsFixture;
use crate::process::{runs, wait_until};
use crate::program_fixture::ProgramFixture;

/// Returns a gateway with a server that has responded, and the server's process id.
async fn start_server(fixture: &ProgramFixture) -> (McpClientFixture, u32) {
    let mut client = McpClientFixture::connect(fixture, ProtocolEra::Modern).await;
    client
        .set_credentials(json!({"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "made-up"}))
        .await;
    let result = client.call(CALLER_IDENTITY_TOOL, json!({})).await;
    let pid = result["structuredContent"]["pid"].as_u64().unwrap() as u32;
    assert!(runs(pid));
    (client, pid)
}

fn send_signal(signal: Signal, pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn serve_stop_signal_ends_gateway_and_servers() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_server(aws.url());
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (client, pid) = start_server(&fixture).await;
        send_signal(signal, client.pid());
        let output = client.wait_for_output().await;
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{signal:?}");
        // The server ended before the gateway, which waited for it.
        assert!(!runs(pid));
    }
}

#[tokio::test]
async fn serve_killed_leaves_no_server() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_server(aws.url());
    let (client, pid) = start_server(&fixture).await;
    send_signal(Signal::KILL, client.pid());
    assert_eq!(client.wait_for_output().await.code, None);
    wait_until("the server is gone", || !runs(pid)).await;
}

#[tokio::test]
async fn serve_signal_before_first_message_exits_zero() {
    let fixture = fixture_with_server("http://127.0.0.1:9");
    let client =
        McpClientFixture::start(&fixture, ProtocolEra::Modern, &["serve", "--mcp-config", "mcp.json"]);
    let pid = client.pid();
    // The handlers are installed one after another; that of SIGHUP is the last.
    wait_until("signals are heard", || catches_signal(pid, Signal::HUP)).await;
    send_signal(Signal::TERM, pid);
    let output = client.wait_for_output().await;
    assert_eq!((output.code, output.combined_output().as_str()), (Some(0), ""));
}

/// Whether the process has a handler for the signal.
fn catches_signal(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    caught >> (signal.as_raw() - 1) & 1 == 1
}

#[tokio::test]
async fn serve_client_disconnecting_at_once_exits_one() {
    let fixture = ProgramFixture::new();
    let client = McpClientFixture::start(&fixture, ProtocolEra::Modern, &["serve"]);
    let output = client.close().await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("left before a protocol was agreed on"), "{}", output.stderr);
}
