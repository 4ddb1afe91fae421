//! Three gateways with one real Redis: any of them serves any session, and the loss of one, or of Redis, loses none.

mod balancers;
mod faults;
mod kms;
mod store_relay;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use valetkey::ExposeSecret;
use valetkey::store::KeyRing;
use valetkey_core::testing::Canary;
use valetkey_rig::Redis;

use crate::aws_fixture::AwsFixture;
use crate::ops::{body, get};
use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};

const ALICE: Option<&str> = Some("token-of-alice");
const BOB: Option<&str> = Some("token-of-bob");

/// The settings of every gateway: one folder, as the nodes of a fleet have the same files.
fn settings(redis: &Redis, keys: &str) -> ProgramFixture {
    settings_with(&redis.url(), PRINCIPALS, keys)
}

fn settings_with(url: &str, principals: &str, keys: &str) -> ProgramFixture {
    let ring = KeyRing::generate().unwrap().expose_document();
    settings_with_ring(url, ring.expose_secret(), &format!("{principals}{STORE}{keys}"))
}

/// The keys that are the same for all tests.
const STORE: &str = "[store]
key_ring_file = 'ring.json'
namespace = 'fleet'
timeout_seconds = 1
";

/// The last table of `settings` is that of the store.
fn settings_with_ring(url: &str, ring: &str, settings: &str) -> ProgramFixture {
    let settings = format!("{settings}url = '{url}'\n");
    ProgramFixture::new().file("ring.json", ring).file("valetkey.toml", settings)
}

/// Calls a tool in a session. A call that waits for Redis has a streamed response.
async fn call(gateway: &HttpGatewayFixture, tool: &str, session: &str, arguments: Value) -> Value {
    call_as(gateway, ALICE, tool, with_session(session, arguments)).await
}

async fn call_as(gateway: &HttpGatewayFixture, token: Option<&str>, tool: &str, arguments: Value) -> Value {
    result(gateway.call(token, tool, arguments).await)
}

fn with_session(session: &str, mut arguments: Value) -> Value {
    arguments["credential_session"] = json!(session);
    arguments
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

/// Returns the code of the error that a tool has returned.
fn check(result: &Value) -> Result<(), String> {
    if result["isError"] != true {
        return Ok(());
    }
    let code = result["structuredContent"]["error"]["code"].as_str();
    Err(code.unwrap_or_else(|| panic!("{result}")).to_owned())
}

/// Reached only if a gateway never does what is expected.
const MAX_POLLS: usize = 5_000;

/// Repeats a call until it succeeds.
async fn poll<T>(what: &str, attempt: impl AsyncFn() -> Result<T, String>) -> T {
    let mut last = String::new();
    for _ in 0..MAX_POLLS {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => last = error,
        }
    }
    panic!("{what}: {last}");
}

/// Whether the store was not reached. A gateway that connects again reports it for a moment.
fn is_outage(code: &str) -> bool {
    code == "unavailable" || code == "timed_out"
}

async fn try_create(gateway: &HttpGatewayFixture, token: Option<&str>) -> Result<String, String> {
    let created = call_as(gateway, token, "create_credential_session", json!({})).await;
    check(&created)?;
    Ok(created["structuredContent"]["credential_session"].as_str().unwrap().to_owned())
}

/// Opens a session as soon as the gateway has reached its store.
async fn create(gateway: &HttpGatewayFixture) -> String {
    create_as(gateway, ALICE).await
}

async fn create_as(gateway: &HttpGatewayFixture, token: Option<&str>) -> String {
    poll("create", async || {
        let created = try_create(gateway, token).await;
        assert!(created.as_ref().err().is_none_or(|code| is_outage(code)), "{created:?}");
        created
    })
    .await
}

/// A key whose id ends with `name`.
fn keys(name: &str) -> Value {
    json!({"credentials_json": {
        "access_key_id": format!("ASIA000000000000{name}"),
        "secret_access_key": "made-up",
        "session_token": "made-up",
    }})
}

async fn try_set(gateway: &HttpGatewayFixture, session: &str, name: &str) -> Result<(), String> {
    check(&call(gateway, "set_aws_credentials_context", session, keys(name)).await)
}

async fn set(gateway: &HttpGatewayFixture, session: &str, name: &str) {
    poll("set", async || {
        let set = try_set(gateway, session, name).await;
        assert!(set.as_ref().err().is_none_or(|code| is_outage(code)), "{set:?}");
        set
    })
    .await;
}

/// Returns the last characters of the key that a session has, or the code of the error: `not_configured` for a session
/// that was cleared, `closed` for one that has ended.
async fn state(gateway: &HttpGatewayFixture, session: &str) -> String {
    state_as(gateway, ALICE, session).await
}

async fn state_as(gateway: &HttpGatewayFixture, token: Option<&str>, session: &str) -> String {
    let status =
        call_as(gateway, token, "get_aws_credentials_context", with_session(session, json!({}))).await;
    match check(&status) {
        Ok(()) => status["structuredContent"]["key_suffix"].as_str().unwrap().to_owned(),
        Err(code) => code,
    }
}

async fn until_state(gateway: &HttpGatewayFixture, session: &str, expected: &str) {
    let is_expected = async || {
        let found = state(gateway, session).await;
        if found == expected { Ok(()) } else { Err(found) }
    };
    poll(expected, is_expected).await;
}

async fn close(gateway: &HttpGatewayFixture, session: &str) -> Value {
    call(gateway, "close_credential_session", session, json!({})).await
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
    until_state(&b, &session, "AAAA").await;
    set(&c, &session, "BBBB").await;
    for node in [&a, &b, &c] {
        until_state(node, &session, "BBBB").await;
        assert_eq!(state_as(node, BOB, &session).await, "closed");
    }
    check(&close(&a, &session).await).unwrap();
    for node in [&b, &c, &a] {
        until_state(node, &session, "closed").await;
    }
    for node in [a, b, c] {
        node.stop().await;
    }
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
            until_state(&b, session, "AAAA").await;
        }
        let outage = if is_killed {
            redis.kill().await.unwrap();
            "unavailable"
        } else {
            redis.pause().await.unwrap();
            "timed_out"
        };
        assert_eq!(state(&a, &kept).await, "AAAA");
        // No change is confirmed that is not saved.
        assert_eq!(try_set(&a, &kept, "BBBB").await.unwrap_err(), outage);
        assert_eq!(state(&a, &kept).await, "AAAA");
        assert_eq!(try_create(&b, ALICE).await.unwrap_err(), outage);
        let pending = call(&a, "clear_credential_context", &cleared, json!({})).await;
        assert!(pending.to_string().contains("cleared on this node"), "{pending}");
        let pending = close(&a, &closed).await;
        assert!(pending.to_string().contains("closed on this node"), "{pending}");

        if is_killed {
            redis.restart().await.unwrap()
        } else {
            redis.resume().await.unwrap()
        }
        until_state(&b, &closed, "closed").await;
        until_state(&b, &cleared, "not_configured").await;
        assert_eq!(state(&a, &cleared).await, "not_configured");
        set(&b, &kept, "CCCC").await;
        until_state(&a, &kept, "CCCC").await;
        until_state(&a, &closed, "closed").await;
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
    let files = settings_with(&redis.url(), ROLE, "")
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
            match check(&refreshed) {
                Ok(()) => return refreshed["structuredContent"]["key_suffix"].clone(),
                Err(code) => assert!(is_outage(&code), "{code}"),
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
    check(&call(&a, "set_aws_credentials_context", &session, set).await).unwrap();
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
            until_state(&b, session, "AAAA").await;
        }
        assert_eq!(redis.command(begin).await.unwrap(), "+OK\r\n");
        // No change is confirmed that is not saved.
        assert_eq!(try_set(&a, &kept, "BBBB").await.unwrap_err(), "unavailable");
        for node in [&a, &b] {
            assert_eq!(state(node, &kept).await, "AAAA");
        }
        assert_eq!(try_create(&b, ALICE).await.unwrap_err(), "unavailable");
        // A store without memory still takes what frees memory.
        let result = call(&a, "clear_credential_context", &cleared, json!({})).await;
        let expected = if may_clear { Ok(()) } else { Err("unavailable".to_owned()) };
        assert_eq!(check(&result), expected, "{result}");
        assert_eq!(check(&close(&a, &closed).await), expected);
        assert_eq!(state(&a, &cleared).await, "not_configured");

        assert_eq!(redis.command(end).await.unwrap(), "+OK\r\n");
        until_state(&b, &cleared, "not_configured").await;
        until_state(&b, &closed, "closed").await;
        set(&b, &kept, "CCCC").await;
        until_state(&a, &kept, "CCCC").await;
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
    until_state(&b, &session, "AAAA").await;
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
        let _refused = try_create(&gateway, ALICE).await;
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

#[tokio::test]
async fn ops_listener_counts_operations_of_redis() {
    let mut redis = Redis::start(&[]).await.unwrap();
    let files = settings(&redis, "");
    let gateway = HttpGatewayFixture::start(&files, &["--ops", "127.0.0.1:0"]).await;
    let session = create(&gateway).await;
    set(&gateway, &session, "AAAA").await;
    let reply = get(&gateway, "/metrics", "").await;
    for line in [
        r#"valetkey_store_operations_total{operation="create",failure=""} 1"#,
        r#"valetkey_store_operations_total{operation="save",failure=""} 1"#,
        r#"valetkey_store_operation_duration_seconds_total{operation="save"} 0.0"#,
        r#"valetkey_store_refreshes_total{kind="led"} 0"#,
        "valetkey_store_pending_clears 0",
        "valetkey_store_reached 1",
    ] {
        assert!(body(&reply).lines().any(|found| found.starts_with(line)), "{line}: {reply}");
    }
    redis.kill().await.unwrap();
    assert_eq!(try_set(&gateway, &session, "BBBB").await.unwrap_err(), "unavailable");
    let reply = get(&gateway, "/status", "").await;
    let status: Value = serde_json::from_str(body(&reply)).unwrap();
    let save = &status["store"]["operations"]["save"];
    // A save whose outcome is unknown is tried twice.
    assert_eq!((&save["calls"], &save["errors"]), (&json!(3), &json!({"unavailable": 2})));
    assert!(save["total_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(status["store"]["operations"]["create"]["errors"], json!({}));
    gateway.stop().await;
    redis.stop().await.unwrap();
}
