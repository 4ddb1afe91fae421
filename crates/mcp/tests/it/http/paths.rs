//! A credential session that the path of a request names: `/s/<handle>/mcp`.

use hyper::Request;
use serde_json::json;
use valetkey_mcp::http::{Authenticator, JwtIssuer, StaticJwks};

use super::client_fixture::{HttpClientFixture, HttpReply};
use super::fixture::{ALICE, BOB, HttpGatewayFixture};
use crate::canary::captured_logs;

fn path_of(handle: &str) -> String {
    format!("/s/{handle}/mcp")
}

#[tokio::test]
async fn path_names_session_of_its_calls() {
    let logs = captured_logs();
    let gateway = HttpGatewayFixture::with_server().await;
    let mut client = gateway.modern(ALICE);
    let (first, second) = (client.create_session().await, client.create_session().await);
    for (handle, key) in [(&first, "AAAA"), (&second, "BBBB")] {
        client.path = path_of(handle);
        client.set(key).await;
    }
    client.path = path_of(&first);
    assert_eq!(client.whoami().await.0, "AAAA");
    let mut legacy = HttpClientFixture::new(gateway.address, Some(ALICE));
    legacy.path = format!("{}/", path_of(&second));
    legacy.initialize().await;
    assert_eq!(legacy.own_key().await, "BBBB");
    for handle in [&first, &second] {
        assert!(!logs.text().contains(handle.as_str()), "a handle is not logged");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn delete_at_path_ends_only_protocol_session() {
    let gateway = HttpGatewayFixture::start().await;
    let handle = gateway.modern(ALICE).create_session().await;
    let mut legacy = HttpClientFixture::new(gateway.address, Some(ALICE));
    legacy.path = path_of(&handle);
    legacy.initialize().await;
    legacy.set("AAAA").await;
    assert_eq!(legacy.send(legacy.request_with("DELETE", "")).await.status, 200);
    assert_eq!(legacy.request("tools/list", json!({})).await.error(), (404, -32001));
    let mut modern = gateway.modern(ALICE);
    modern.path = path_of(&handle);
    assert_eq!(modern.own_key().await, "AAAA");
    gateway.stop().await;
}

#[tokio::test]
async fn path_of_another_principal_is_unknown() {
    let gateway = HttpGatewayFixture::start().await;
    let mut alice = gateway.modern(ALICE);
    let handle = alice.create_session().await;
    let mut errors = Vec::new();
    for handle in [handle.as_str(), "0123456789abcdef0123456789abcdef"] {
        for mut bob in [gateway.modern(BOB), gateway.legacy(BOB).await] {
            bob.path = path_of(handle);
            errors.push(bob.call_error("get_aws_credentials_context", json!({})).await);
            errors.push(bob.call_error("refresh_aws_credentials", json!({})).await);
        }
    }
    errors.dedup();
    assert_eq!(errors.len(), 1, "the same error for each: {errors:?}");
    let mut stranger = HttpClientFixture::new(gateway.address, None);
    stranger.path = path_of(&handle);
    assert_eq!(stranger.send(stranger.request_with("POST", "{}")).await.status, 401);
    gateway.stop().await;
}

#[tokio::test]
async fn path_and_header_must_name_one_session() {
    let gateway = HttpGatewayFixture::start().await;
    let mut client = gateway.modern(ALICE);
    let (first, second) = (client.create_session().await, client.create_session().await);
    client.path = path_of(&first);
    client.handle = Some(first.clone());
    client.set("AAAA").await;
    client.handle = Some(second);
    assert_eq!(client.request("tools/list", json!({})).await.error(), (400, -32600));
    client.handle = None;
    for path in ["/s/x/mcp", "/s//mcp", "/s/mcp", &format!("/s/{first}"), &format!("/s/{first}/mcp/x")] {
        client.path = path.to_owned();
        assert_eq!(client.request("tools/list", json!({})).await.status, 404, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn challenge_at_path_leads_to_metadata_of_origin() {
    let issuer = JwtIssuer::builder("https://login.example.com", StaticJwks::new(b"{}".to_vec()))
        .audience("https://mcp.example.com")
        .principal("00u1", "alice".parse().unwrap());
    let authenticator = Authenticator::bearer().issuer(issuer.build().unwrap()).unwrap();
    let gateway = HttpGatewayFixture::start_with(Vec::new(), authenticator, |gateway| {
        gateway.public_url("https://mcp.example.com/aws/mcp").unwrap()
    })
    .await;
    let mut client = HttpClientFixture::new(gateway.address, None);
    let handle = "0123456789abcdef0123456789abcdef";
    client.path = path_of(handle);
    let reply = client.send(client.initialize_request()).await;
    let metadata = "/.well-known/oauth-protected-resource/aws/s";
    let challenge = format!(r#"Bearer resource_metadata="https://mcp.example.com{metadata}""#);
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some(challenge.as_str())));
    let well_known = "/.well-known/oauth-protected-resource";
    for path in [
        metadata.to_owned(),
        format!("{well_known}/s"),
        format!("{well_known}/s/{handle}/mcp"),
        format!("{well_known}/aws/s/{handle}/mcp"),
    ] {
        let reply: HttpReply = client
            .send(Request::builder().uri(&path).header("host", "mcp.example.com").body("".into()).unwrap())
            .await;
        assert_eq!(reply.json()["resource"], "https://mcp.example.com", "{path}");
    }
    gateway.stop().await;
}
