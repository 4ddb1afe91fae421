//! A gateway whose configuration changes while it serves.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::client_fixture::{McpClientFixture, ProtocolEra};
use super::http::HttpGatewayFixture;
use super::shutdown::send_signal;
use super::{demo_server_entry, mcp_config};
use crate::process::{runs, wait_until};
use crate::program_fixture::ProgramFixture;

/// Reached only if a reload has no effect.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);

fn fixture(servers: Value) -> ProgramFixture {
    ProgramFixture::new().file("mcp.json", mcp_config(servers))
}

fn demo_server() -> Value {
    demo_server_entry("http://127.0.0.1:9")
}

/// Lists the tools until a server has tools, or has none.
async fn wait_for_server(client: &mut McpClientFixture, server: &str, is_listed: bool) {
    let listed = async {
        while client.tools().await.iter().any(|tool| tool.starts_with(&format!("{server}__"))) != is_listed {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(RELOAD_TIMEOUT, listed).await.unwrap_or_else(|_| panic!("{server}: {is_listed}"));
}

/// Returns the running servers of a gateway, by process id.
fn server_pids(gateway: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{gateway}/task/{gateway}/children"));
    let threads = std::fs::read_dir(format!("/proc/{gateway}/task")).unwrap();
    let of_threads =
        threads.flat_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")));
    let all = of_threads.chain(children).collect::<Vec<_>>().join(" ");
    let mut pids: Vec<u32> = all.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

#[tokio::test]
async fn serve_hangup_reloads_only_servers_that_differ() {
    let fixture = fixture(json!({"removed": demo_server(), "same": demo_server()}));
    let mut client = McpClientFixture::connect(&fixture, ProtocolEra::Legacy("2025-11-25")).await;
    wait_for_server(&mut client, "removed", true).await;
    let before = server_pids(client.pid());
    assert_eq!(before.len(), 2);

    let fixture =
        fixture.file("mcp.json", mcp_config(json!({"added": demo_server(), "same": demo_server()})));
    send_signal(Signal::HUP, client.pid());
    wait_for_server(&mut client, "added", true).await;
    wait_for_server(&mut client, "removed", false).await;
    wait_until("the removed server has exited", || before.iter().filter(|pid| runs(**pid)).count() == 1)
        .await;
    let kept = before.into_iter().find(|pid| runs(*pid)).unwrap();
    assert!(server_pids(client.pid()).contains(&kept));

    let broken = mcp_config(json!({"same": {"args": ["no command"]}}));
    let fixture = fixture.file("mcp.json", broken);
    send_signal(Signal::HUP, client.pid());
    wait_until("the error is reported", || client.has_reported("`same`: ")).await;
    // Noticed without a signal.
    let _fixture =
        fixture.file("mcp.json", mcp_config(json!({"last": demo_server(), "same": demo_server()})));
    wait_for_server(&mut client, "last", true).await;
    assert!(runs(kept), "an invalid file stops no server");
    let output = client.close().await;
    assert_eq!(output.code, Some(0));
    assert!(output.stdout.contains("notifications/tools/list_changed"), "{}", output.stdout);
}

#[tokio::test]
async fn serve_invalid_file_keeps_configuration_and_says_why() {
    let fixture = fixture(json!({"same": demo_server()}));
    let mut client = McpClientFixture::connect(&fixture, ProtocolEra::Modern).await;
    wait_for_server(&mut client, "same", true).await;
    let before = server_pids(client.pid());
    // Noticed without a signal, once the file no longer changes.
    let _fixture = fixture.file("mcp.json", "{\"mcpServers\": ");
    wait_until("the error is reported", || client.has_reported("the earlier one stays in use")).await;
    assert!(client.has_reported("mcp.json") && client.has_reported("invalid JSON"));
    assert_eq!(server_pids(client.pid()), before);
    assert_eq!(client.close().await.code, Some(0));
}

/// The digests are those of `token-of-alice` and `token-of-bob`.
const ALICE: &str = "[principals.alice]\naccounts = ['dev']\n\
    token_sha256 = ['19c28a50b1a09097592e7ceddb7e0771ff4d469747541a7536579eef857e05ce']\n";
const BOB: &str = "[principals.bob]\naccounts = ['prod']\n\
    token_sha256 = ['800480042268218663feef3ea54d81ed3f976c98c38d5fd7afbe22810ec16334']\n";
const ACCOUNTS: &str = "[session]\nattribution = 'none'\n[accounts.dev]\nprovider = 'memory'\n\
    [accounts.prod]\nprovider = 'memory'\n";

async fn open_session(gateway: &HttpGatewayFixture, token: &str) -> Value {
    let (status, created) = gateway.call(Some(token), "create_credential_session", json!({})).await;
    assert_eq!(status, 200, "{created}");
    created["result"]["structuredContent"].clone()
}

/// Calls a tool until `is_done` returns true for the status and the message.
async fn call_until(
    gateway: &HttpGatewayFixture,
    token: &str,
    session: &Value,
    is_done: impl Fn(u16, &Value) -> bool,
) {
    let done = async {
        loop {
            let (status, message) = gateway.call(Some(token), "list_aws_accounts", session.clone()).await;
            if is_done(status, &message) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(RELOAD_TIMEOUT, done).await.unwrap();
}

#[tokio::test]
async fn serve_http_hangup_revokes_tokens_and_accounts() {
    let fixture = ProgramFixture::new().file("valetkey.toml", format!("{ACCOUNTS}{ALICE}{BOB}"));
    let gateway = HttpGatewayFixture::start(&fixture, &[]).await;
    let alice = open_session(&gateway, "token-of-alice").await;
    let bob = open_session(&gateway, "token-of-bob").await;

    let fixture = fixture.file("valetkey.toml", format!("{ACCOUNTS}{ALICE}"));
    send_signal(Signal::HUP, gateway.pid());
    call_until(&gateway, "token-of-bob", &bob, |status, _| status == 401).await;
    let (_, listed) = gateway.call(Some("token-of-alice"), "list_aws_accounts", alice.clone()).await;
    assert_ne!(listed["result"]["isError"], true, "an unchanged principal keeps its session: {listed}");

    let changed = ALICE.replace("'dev'", "'prod'");
    let _fixture = fixture.file("valetkey.toml", format!("{ACCOUNTS}{changed}"));
    send_signal(Signal::HUP, gateway.pid());
    call_until(&gateway, "token-of-alice", &alice, |_, message| message["result"]["isError"] == true).await;
    let alice = open_session(&gateway, "token-of-alice").await;
    let (_, listed) = gateway.call(Some("token-of-alice"), "list_aws_accounts", alice).await;
    assert_eq!(listed["result"]["structuredContent"]["accounts"][0]["account"], "prod", "{listed}");
    gateway.stop().await;
}
