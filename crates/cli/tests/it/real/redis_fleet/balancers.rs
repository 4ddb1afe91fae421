//! The settings of load balancers in `docs/operations.md`, word for word but for addresses and files, before two gateways.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use valetkey_rig::{Balancer, BalancerKind, Redis};

use super::{MAX_POLLS, start};
use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS, modern_request, post};

const OPERATIONS: &str = include_str!("../../../../../../docs/operations.md");
const HOST: &str = "mcp.example.com";
const TOKENS: [&str; 2] = ["token-of-alice", "token-of-bob"];

/// Two gateways with one store and a certificate, behind a balancer.
struct BalancedFleet {
    balancer: Balancer,
    nodes: [HttpGatewayFixture; 2],
    redis: Redis,
    _files: ProgramFixture,
}

impl BalancedFleet {
    async fn start(kind: BalancerKind) -> Self {
        let redis = Redis::start(&[]).await.unwrap();
        let pair = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let http = format!(
            "[http]\ncertificate = 'cert.pem'\nprivate_key = 'key.pem'\npublic_url = 'https://{HOST}/mcp'\n"
        );
        let files = super::settings_with(&redis.url(), &format!("{PRINCIPALS}{http}"), "")
            .file("cert.pem", pair.cert.pem())
            .file("key.pem", pair.signing_key.serialize_pem());
        let nodes: [_; 2] = start(&files).await;
        let balancer = Balancer::start(kind, |address| {
            settings(
                kind,
                address,
                nodes.each_ref().map(HttpGatewayFixture::address),
                &files.path("cert.pem"),
            )
        });
        let balancer = balancer.await.unwrap();
        Self { balancer, nodes, redis, _files: files }
    }
}

/// Calls a tool with further headers. Returns the reply with its headers.
async fn call(balancer: &Balancer, token: &str, headers: &str, tool: &str) -> String {
    let headers = format!("Host: {HOST}\r\nAuthorization: Bearer {token}\r\n{headers}");
    let params = json!({"name": tool, "arguments": {}});
    modern_request(&balancer.address().to_string(), &headers, "tools/call", params).await.unwrap()
}

/// Opens a session as soon as a gateway has reached its store, and returns its handle.
async fn create(balancer: &Balancer, token: &str) -> String {
    for _ in 0..MAX_POLLS {
        let created = call(balancer, token, "", "create_credential_session").await;
        assert!(created.starts_with("HTTP/1.1 200 "), "{created}");
        let handle = message(&created)["result"]["structuredContent"]["credential_session"].clone();
        if let Some(handle) = handle.as_str() {
            return handle.to_owned();
        }
    }
    panic!("no session can be opened");
}

/// Returns the gateway that serves a session.
async fn node_of(balancer: &Balancer, token: &str, handle: &str) -> String {
    let headers = format!("Valetkey-Session: {handle}\r\n");
    let listed = call(balancer, token, &headers, "list_aws_accounts").await;
    assert!(message(&listed)["result"]["structuredContent"]["accounts"].is_array(), "{listed}");
    header(&listed, "valetkey-node").unwrap_or_else(|| panic!("{listed}"))
}

/// Returns the settings of the documents for these addresses. What encrypts the side of the clients is left out.
fn settings(kind: BalancerKind, address: SocketAddr, nodes: [&str; 2], certificate: &Path) -> String {
    let (fence, listen, files) = match kind {
        BalancerKind::Nginx => ("```nginx\n", "listen 443 ssl;", "/etc/nginx/gateways.pem"),
        BalancerKind::HaProxy => (
            "```haproxy\n",
            "bind :443 ssl crt /etc/haproxy/mcp.example.com.pem",
            "/etc/haproxy/gateways.pem",
        ),
    };
    let text = OPERATIONS.split_once(fence).unwrap().1.split_once("```").unwrap().0;
    let listens = match kind {
        BalancerKind::Nginx => format!("listen {address};"),
        BalancerKind::HaProxy => format!("bind {address}"),
    };
    let replacements = [
        (listen, listens.as_str()),
        (files, certificate.to_str().unwrap()),
        ("10.0.0.1:7070", nodes[0]),
        ("10.0.0.2:7070", nodes[1]),
    ];
    let text = replacements.into_iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    });
    let is_kept = |line: &&str| !line.trim_start().starts_with("ssl_certificate");
    text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
}

fn header(reply: &str, name: &str) -> Option<String> {
    let lines = reply.split("\r\n\r\n").next()?.lines();
    let headers = lines.filter_map(|line| line.split_once(": "));
    headers.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
}

/// Returns the message in a reply, which may be chunked or a stream.
fn message(reply: &str) -> Value {
    let lines = reply.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    lines.rev().find_map(|line| serde_json::from_str(line).ok().filter(Value::is_object)).unwrap_or_default()
}

/// Every request of a session reaches the same gateway, and all gateways have sessions. Returns their handles.
async fn check_affinity(balancer: &Balancer) -> Vec<String> {
    let (mut handles, mut nodes) = (Vec::new(), BTreeSet::new());
    for _ in 0..24 {
        let handle = create(balancer, TOKENS[0]).await;
        let node = node_of(balancer, TOKENS[0], &handle).await;
        for _ in 0..3 {
            assert_eq!(node_of(balancer, TOKENS[0], &handle).await, node);
        }
        let path = format!("/s/{handle}/mcp");
        let headers = format!("Host: {HOST}\r\nAuthorization: Bearer {}\r\n", TOKENS[0]);
        let initialized =
            post(&balancer.address().to_string(), &path, &headers, &initialize()).await.unwrap();
        assert_eq!(header(&initialized, "valetkey-node").as_ref(), Some(&node), "{initialized}");
        nodes.insert(node);
        handles.push(handle);
    }
    assert_eq!(nodes.len(), 2);
    handles
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }})
}

/// The MCP session of a legacy client exists on one gateway only: each request of a caller reaches it.
async fn check_legacy_clients(balancer: &Balancer) {
    let address = balancer.address().to_string();
    for token in TOKENS {
        let headers = format!("Host: {HOST}\r\nAuthorization: Bearer {token}\r\n");
        let initialized = post(&address, "/mcp", &headers, &initialize()).await.unwrap();
        let session = header(&initialized, "mcp-session-id").unwrap_or_else(|| panic!("{initialized}"));
        let headers = format!("{headers}Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
        for id in 2..8 {
            let list = json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"});
            let listed = post(&address, "/mcp", &headers, &list).await.unwrap();
            assert!(message(&listed)["result"]["tools"].is_array(), "{listed}");
        }
    }
}

/// The sessions of a lost gateway go on with the other one.
async fn check_loss(fleet: BalancedFleet, handles: &[String]) {
    let [lost, left] = fleet.nodes;
    lost.stop().await;
    let mut nodes = BTreeSet::new();
    for handle in handles {
        nodes.insert(node_of(&fleet.balancer, TOKENS[0], handle).await);
    }
    assert_eq!(nodes.len(), 1);
    fleet.balancer.stop().await.unwrap();
    left.stop().await;
    fleet.redis.stop().await.unwrap();
}

async fn check_balancer(kind: BalancerKind) {
    let fleet = BalancedFleet::start(kind).await;
    let handles = check_affinity(&fleet.balancer).await;
    check_legacy_clients(&fleet.balancer).await;
    check_loss(fleet, &handles).await;
}

#[tokio::test]
async fn session_is_kept_on_its_gateway_by_nginx() {
    check_balancer(BalancerKind::Nginx).await;
}

#[tokio::test]
async fn session_is_kept_on_its_gateway_by_haproxy() {
    check_balancer(BalancerKind::HaProxy).await;
}
