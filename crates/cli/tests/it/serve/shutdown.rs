//! No process of a server remains, however the gateway ends.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::client_fixture::{McpClientFixture, ProtocolEra};
use super::http::HttpGatewayFixture;
use super::{CALLER_IDENTITY_TOOL, demo_server_entry, fixture_with_server, mcp_config};
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

pub(crate) fn send_signal(signal: Signal, pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn serve_stop_signal_ends_gateway_and_servers() {
    let aws = AwsFixture::start().await;
    let fixture = fixture_with_server(aws.url());
    for signal in [Signal::TERM, Signal::INT] {
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

const HTTP_SETTINGS: &str = "[session]\nattribution = 'none'\n[http]\nauth = 'none'\n";

/// A gateway over HTTP with a session whose server `aws` has responded.
pub(crate) struct HttpServersFixture {
    _files: ProgramFixture,
    pub(crate) gateway: HttpGatewayFixture,
    pub(crate) session: Value,
    /// The processes that the gateway has started.
    pub(crate) processes: Vec<u32>,
}

/// Returns the demo's server behind a wrapper, as package runners have it, with a process that has left the group.
fn wrapped_server(aws: &str) -> Value {
    let mut server = demo_server_entry(aws);
    let command = format!("setsid sleep 600 & '{}' demo-server; true", env!("CARGO_BIN_EXE_valetkey"));
    (server["command"], server["args"]) = (json!("sh"), json!(["-c", command]));
    server
}

pub(crate) async fn start_http_servers(servers: Value) -> HttpServersFixture {
    let files =
        ProgramFixture::new().file("mcp.json", mcp_config(servers)).file("valetkey.toml", HTTP_SETTINGS);
    let gateway = HttpGatewayFixture::start(&files, &["--mcp-config", "mcp.json"]).await;
    let (_, created) = gateway.call(None, "create_credential_session", json!({})).await;
    let session = created["result"]["structuredContent"].clone();
    let mut arguments = session.clone();
    arguments["credentials_json"] =
        json!({"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "made-up"});
    gateway.call(None, "set_aws_credentials_context", arguments).await;
    let (_, called) = gateway.call(None, CALLER_IDENTITY_TOOL, session.clone()).await;
    // A text, if the call took long enough to be streamed.
    assert!(called.to_string().contains("key_suffix"), "{called}");
    let processes = descendants(gateway.pid());
    assert!(processes.len() >= 4, "guardian, wrapper, server and another one: {processes:?}");
    HttpServersFixture { _files: files, gateway, session, processes }
}

/// Returns the processes that a process started, and those that these started.
pub(super) fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

#[tokio::test]
async fn serve_http_stopped_or_killed_leaves_no_process() {
    let aws = AwsFixture::start().await;
    for (signal, code) in [(Signal::TERM, Some(0)), (Signal::KILL, None)] {
        let fixture = start_http_servers(json!({"aws": wrapped_server(aws.url())})).await;
        send_signal(signal, fixture.gateway.pid());
        assert_eq!(fixture.gateway.wait().await, code);
        wait_until("no process is left", || !fixture.processes.iter().any(|pid| runs(*pid))).await;
    }
}

#[tokio::test]
async fn serve_http_stop_signal_ends_calls_in_progress() {
    let aws = AwsFixture::start().await;
    // It accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let servers = json!({"aws": wrapped_server(aws.url()), "silent": wrapped_server(&silent_url)});
    let HttpServersFixture { _files, gateway, session, .. } = start_http_servers(servers).await;
    let mut processes = Vec::new();
    let stop = async {
        let _connection = silent.accept().await.unwrap();
        processes = descendants(gateway.pid());
        send_signal(Signal::TERM, gateway.pid());
        std::future::pending::<()>().await;
    };
    let call = gateway.call(None, "silent__get_caller_identity", session);
    let (status, message) = tokio::select! {
        called = call => called,
        () = stop => unreachable!("it waits for the call"),
    };
    assert_eq!(
        status, 200,
        "a call that does not finish in time is cancelled, and gets a response: {message}"
    );
    assert_eq!(gateway.wait().await, Some(0));
    assert!(!processes.is_empty());
    wait_until("no process is left", || !processes.iter().any(|pid| runs(*pid))).await;
}
