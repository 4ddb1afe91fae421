//! Three gateways with one real Redis: any of them serves any session, and the loss of one, or of Redis, loses none.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use valetkey::ExposeSecret;
use valetkey::store::KeyRing;
use valetkey_core::testing::Canary;
use valetkey_rig::Redis;

use crate::aws_fixture::AwsFixture;
use crate::ops::get;
use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};
use crate::serve::shutdown::send_signal;

const ALICE: Option<&str> = Some("token-of-alice");
const BOB: Option<&str> = Some("token-of-bob");

/// The settings of every gateway: one folder, as the nodes of a fleet have the same files.
fn settings(redis: &Redis, keys: &str) -> ProgramFixture {
    settings_with(redis, PRINCIPALS, keys)
}

fn settings_with(redis: &Redis, principals: &str, keys: &str) -> ProgramFixture {
    let store = format!(
        "[store]\nurl = '{}'\nkey_ring_file = 'ring.json'\nnamespace = 'fleet'\ntimeout_seconds = 1\n{keys}",
        redis.url()
    );
    let ring = KeyRing::generate().unwrap().expose_document();
    ProgramFixture::new()
        .file("ring.json", ring.expose_secret())
        .file("valetkey.toml", format!("{principals}{store}"))
}

/// Calls a tool in a session. A call that waits for Redis has a streamed response.
async fn call(gateway: &HttpGatewayFixture, tool: &str, session: &str, arguments: Value) -> Value {
    let mut arguments = arguments;
    arguments["credential_session"] = json!(session);
    result(gateway.call(ALICE, tool, arguments).await)
}

fn result((status, body): (u16, Value)) -> Value {
    assert_eq!(status, 200, "{body}");
    let message = match body.as_str() {
        Some(stream) => {
            let data = stream.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
            serde_json::from_str(data).unwrap()
        }
        None => body,
    };
    assert!(message["result"].is_object(), "{message}");
    message["result"].clone()
}

async fn try_create(gateway: &HttpGatewayFixture) -> Option<String> {
    let created = result(gateway.call(ALICE, "create_credential_session", json!({})).await);
    created["structuredContent"]["credential_session"].as_str().map(str::to_owned)
}

/// Opens a session as soon as the gateway has reached its store.
async fn create(gateway: &HttpGatewayFixture) -> String {
    loop {
        if let Some(session) = try_create(gateway).await {
            return session;
        }
    }
}

async fn try_set(gateway: &HttpGatewayFixture, session: &str, name: &str) -> bool {
    let keys = json!({
        "access_key_id": format!("ASIA000000000000{name}"),
        "secret_access_key": "made-up",
        "session_token": "made-up",
    });
    let set = call(gateway, "set_aws_credentials_context", session, json!({"credentials_json": keys})).await;
    set["isError"] != true
}

async fn set(gateway: &HttpGatewayFixture, session: &str, name: &str) {
    while !try_set(gateway, session, name).await {}
}

async fn status(gateway: &HttpGatewayFixture, session: &str) -> Value {
    call(gateway, "get_aws_credentials_context", session, json!({})).await
}

async fn key(gateway: &HttpGatewayFixture, session: &str) -> Value {
    status(gateway, session).await["structuredContent"]["key_suffix"].clone()
}

async fn until_key(gateway: &HttpGatewayFixture, session: &str, name: &str) {
    while key(gateway, session).await != name {}
}

async fn until_closed(gateway: &HttpGatewayFixture, session: &str) {
    while !status(gateway, session).await.to_string().contains("no open credential session with this handle")
    {
    }
}

async fn close(gateway: &HttpGatewayFixture, session: &str) -> Value {
    call(gateway, "close_credential_session", session, json!({})).await
}

async fn kill(gateway: HttpGatewayFixture) {
    send_signal(Signal::KILL, gateway.pid());
    assert_eq!(gateway.wait().await, None);
}

async fn start<const N: usize>(files: &ProgramFixture) -> [HttpGatewayFixture; N] {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(HttpGatewayFixture::start(files, &[]).await);
    }
    nodes.try_into().ok().unwrap()
}

#[tokio::test]
async fn session_is_served_rotated_and_closed_by_three_processes() {
    let redis = Redis::start(&[]).await.unwrap();
    let files = settings(&redis, "");
    let [a, b, c] = start(&files).await;
    let session = create(&a).await;
    set(&a, &session, "AAAA").await;
    until_key(&b, &session, "AAAA").await;
    set(&c, &session, "BBBB").await;
    for node in [&a, &b, &c] {
        until_key(node, &session, "BBBB").await;
        let stolen = json!({"credential_session": session});
        let refused = result(node.call(BOB, "get_aws_credentials_context", stolen).await);
        assert!(refused.to_string().contains("no open credential session"), "{refused}");
    }
    assert_ne!(close(&a, &session).await["isError"], true);
    for node in [&b, &c, &a] {
        until_closed(node, &session).await;
    }
    for node in [a, b, c] {
        node.stop().await;
    }
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn gateway_killed_in_any_step_loses_no_session() {
    let redis = Redis::start(&[]).await.unwrap();
    let files = settings(&redis, "");
    let [a, b, c] = start(&files).await;
    let session = create(&a).await;
    kill(a).await;
    set(&b, &session, "AAAA").await;
    kill(b).await;
    until_key(&c, &session, "AAAA").await;
    set(&c, &session, "BBBB").await;
    let [d, e] = start(&files).await;
    until_key(&d, &session, "BBBB").await;
    kill(c).await;
    assert_ne!(close(&d, &session).await["isError"], true);
    kill(d).await;
    until_closed(&e, &session).await;
    e.stop().await;
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn redis_killed_or_paused_loses_and_revives_no_session() {
    let mut redis = Redis::start(&[]).await.unwrap();
    let files = settings(&redis, "");
    let [a, b] = start(&files).await;
    for is_killed in [true, false] {
        let (kept, cleared, closed) = (create(&a).await, create(&a).await, create(&a).await);
        for session in [&kept, &cleared, &closed] {
            set(&a, session, "AAAA").await;
            until_key(&b, session, "AAAA").await;
        }
        if is_killed {
            redis.kill().await.unwrap()
        } else {
            redis.pause().await.unwrap()
        }
        assert_eq!(key(&a, &kept).await, "AAAA");
        assert!(!try_set(&a, &kept, "BBBB").await, "no change is confirmed that is not saved");
        assert_eq!(key(&a, &kept).await, "AAAA");
        assert_eq!(try_create(&b).await, None);
        let pending = call(&a, "clear_credential_context", &cleared, json!({})).await;
        assert!(pending.to_string().contains("cleared on this node"), "{pending}");
        let pending = close(&a, &closed).await;
        assert!(pending.to_string().contains("closed on this node"), "{pending}");

        if is_killed {
            redis.restart().await.unwrap()
        } else {
            redis.resume().await.unwrap()
        }
        until_closed(&b, &closed).await;
        while key(&b, &cleared).await != Value::Null {}
        assert_eq!(key(&a, &cleared).await, Value::Null);
        set(&b, &kept, "CCCC").await;
        until_key(&a, &kept, "CCCC").await;
        until_closed(&a, &closed).await;
    }
    for node in [a, b] {
        node.stop().await;
    }
    redis.stop().await.unwrap();
}

/// Alice has a role, which is assumed with the keys of the environment.
const ROLE: &str = "
[session]
attribution = 'none'
[accounts.base]
provider = 'environment'
[accounts.dev]
provider = 'assume-role'
role_arn = 'arn:aws:iam::111111111111:role/agent'
source = 'base'
[principals.alice]
accounts = ['dev']
token_sha256 = ['19c28a50b1a09097592e7ceddb7e0771ff4d469747541a7536579eef857e05ce']
";

#[tokio::test]
async fn role_is_assumed_once_for_three_processes() {
    let (redis, aws) = (Redis::start(&[]).await.unwrap(), AwsFixture::start().await);
    let files = settings_with(&redis, ROLE, "")
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "made-up");
    let nodes: [_; 3] = start(&files).await;
    let session = create(&nodes[0]).await;
    let assumed = || aws.sts_calls().iter().filter(|(operation, _)| operation == "AssumeRole").count();
    for round in 1..=3 {
        let refresh = async |node| loop {
            let refreshed = call(node, "refresh_aws_credentials", &session, json!({})).await;
            if refreshed["isError"] != true {
                return refreshed["structuredContent"]["key_suffix"].clone();
            }
        };
        let [a, b, c] = &nodes;
        let (a, b, c) = tokio::join!(refresh(a), refresh(b), refresh(c));
        assert!(a == b && b == c, "{a} {b} {c}");
        assert_eq!(assumed(), round);
    }
    for node in nodes {
        node.stop().await;
    }
    redis.stop().await.unwrap();
}

/// Every file in a folder.
fn read_all(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { bytes.extend(read_all(&path)) } else { bytes.extend(fs::read(path).unwrap()) }
    }
    bytes
}

#[tokio::test]
async fn dump_of_store_and_configuration_holds_no_secret() {
    let redis = Redis::start(&[]).await.unwrap();
    let files = settings(&redis, "");
    let [a] = start(&files).await;
    let (session, canary) = (create(&a).await, Canary::new());
    let set = json!({"credentials_json": canary.to_json()});
    assert_ne!(call(&a, "set_aws_credentials_context", &session, set).await["isError"], true);
    let (prefix, secret) = session.rsplit_once('.').unwrap();
    let mut dump = read_all(redis.folder());
    assert!(
        String::from_utf8_lossy(&dump).contains(prefix.rsplit_once('.').unwrap().1),
        "the record is there"
    );
    dump.extend(read_all(&files.path("")));
    let text = String::from_utf8_lossy(&dump);
    assert_eq!(canary.found_in(&text), [""; 0]);
    assert!(!text.contains(secret), "the secret of the handle is nowhere");
    a.stop().await;
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn gateway_with_wrong_password_does_not_start() {
    let redis = Redis::start(&["--requirepass", "right"]).await.unwrap();
    let files = settings(&redis, "password_env = 'STORE_PASSWORD'\n").env("STORE_PASSWORD", "wrong-password");
    let refused = files.run(&["serve", "--http", "127.0.0.1:0"]).await;
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("denies access"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("wrong-password"), "{}", refused.stderr);
    let files = files.env("STORE_PASSWORD", "right");
    let [a] = start(&files).await;
    create(&a).await;
    a.stop().await;
    drop(redis);
}

#[tokio::test]
async fn redis_without_memory_or_writes_refuses_changes() {
    let redis = Redis::start(&["--maxmemory-policy", "noeviction"]).await.unwrap();
    let files = settings(&redis, "");
    let [a, b] = start(&files).await;
    let cases: [([&[&str]; 2], bool); 2] = [
        ([&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]], true),
        ([&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]], false),
    ];
    for ([begin, end], may_clear) in cases {
        let (kept, cleared, closed) = (create(&a).await, create(&a).await, create(&a).await);
        for session in [&kept, &cleared, &closed] {
            set(&a, session, "AAAA").await;
            until_key(&b, session, "AAAA").await;
        }
        assert_eq!(redis.command(begin).await.unwrap(), "+OK\r\n");
        assert!(!try_set(&a, &kept, "BBBB").await, "no change is confirmed that is not saved");
        assert_eq!((key(&a, &kept).await, key(&b, &kept).await), (json!("AAAA"), json!("AAAA")));
        assert_eq!(try_create(&b).await, None);
        // A store without memory still takes what frees memory.
        let result = call(&a, "clear_credential_context", &cleared, json!({})).await;
        assert_eq!(result["isError"] != true, may_clear, "{result}");
        assert_eq!(close(&a, &closed).await["isError"] != true, may_clear);
        assert_eq!(key(&a, &cleared).await, Value::Null);

        assert_eq!(redis.command(end).await.unwrap(), "+OK\r\n");
        while key(&b, &cleared).await != Value::Null {}
        until_closed(&b, &closed).await;
        set(&b, &kept, "CCCC").await;
        until_key(&a, &kept, "CCCC").await;
    }
    for node in [a, b] {
        node.stop().await;
    }
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn gateway_starts_without_redis_and_recovers() {
    let mut redis = Redis::start(&[]).await.unwrap();
    let files = settings(&redis, "");
    redis.kill().await.unwrap();
    let [a, b] = start(&files).await;
    for node in [&a, &b] {
        let refused = result(node.call(ALICE, "create_credential_session", json!({})).await);
        assert!(refused.to_string().contains("session store is unavailable"), "{refused}");
    }
    redis.restart().await.unwrap();
    let session = create(&a).await;
    set(&a, &session, "AAAA").await;
    // The second gateway may still be connecting.
    while key(&b, &session).await != "AAAA" {}
    for node in [a, b] {
        node.stop().await;
    }
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn readiness_follows_session_store() {
    let mut redis = Redis::start(&[]).await.unwrap();
    let files = settings(&redis, "");
    let gateway = HttpGatewayFixture::start(&files, &["--ops", "127.0.0.1:0"]).await;
    let until_ready = async |status: &str, reason: &str| loop {
        let reply = get(&gateway, "/readyz", "").await;
        if reply.starts_with(status) {
            break assert!(reply.ends_with(reason), "{reply}");
        }
        // The gateway notices the state of its store when it uses it.
        try_create(&gateway).await;
    };
    let store_reached = async || {
        let metrics = get(&gateway, "/metrics", "").await;
        metrics.lines().any(|line| line == "valetkey_store_reached 1")
    };
    until_ready("HTTP/1.1 200", "\r\n\r\nready\n").await;
    assert!(store_reached().await);
    for _ in 0..2 {
        redis.kill().await.unwrap();
        until_ready("HTTP/1.1 503", "\r\n\r\nthe session store is not reached\n").await;
        assert!(!store_reached().await);
        // The process itself is alive: a balancer that would end it probes this path.
        assert!(get(&gateway, "/healthz", "").await.starts_with("HTTP/1.1 200"));
        let status = files.run(&["status"]).await;
        assert!(status.stdout.contains("not ready: the session store is not reached"), "{}", status.stdout);
        redis.restart().await.unwrap();
        until_ready("HTTP/1.1 200", "\r\n\r\nready\n").await;
    }
    gateway.stop().await;
    redis.stop().await.unwrap();
}
