//! What the endpoint refuses, and that a refusal says nothing about what is there.

use std::net::Ipv4Addr;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::Canary;
use valetkey_core::{Expiry, SessionContext};
use valetkey_mcp::endpoint::Leash;

use super::client::{Answer, Desk, ask, ask_as, send};

fn told(answer: &Answer) -> (u16, &Value) {
    (answer.status, &answer.body)
}

#[tokio::test]
async fn bad_missing_and_foreign_tokens_and_unknown_paths_get_the_same_answer() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    let other = SessionContext::builder().build();
    let foreign = desk.endpoint.grant(other.account(other.default_account()).unwrap(), "other", Leash::Off);
    let bad = ask_as(&desk.grant, "nonsense").await;
    assert_eq!(bad.status, 403);

    let host = [format!("Host: {}", desk.address())];
    let token = desk.headers();
    let mut others = vec![
        desk.send("GET", &host).await,
        ask_as(&desk.grant, "").await,
        ask_as(&desk.grant, &format!("{}x", desk.grant.expose_token())).await,
        ask_as(&desk.grant, foreign.expose_token()).await,
    ];
    for path in ["/", "/credentials", "/credentials/", "/credentials/x", "/credentials/%FF", "/a/b/c"] {
        others.push(send(&desk.address(), &format!("GET {path} HTTP/1.1"), &token).await);
    }
    for answer in &others {
        assert_eq!(told(answer), told(&bad));
    }
}

#[tokio::test]
async fn a_token_opens_its_own_account_only() {
    let (desk, canary) = (Desk::new().await, Canary::new());
    desk.set("AAAA");
    let other = SessionContext::builder().build();
    other.set_credentials(canary.credentials(Expiry::Never).unwrap()).unwrap();
    let foreign = desk.endpoint.grant(other.account(other.default_account()).unwrap(), "other", Leash::Off);

    assert_eq!(desk.key().await, "AAAA");
    assert_ne!(ask(&foreign).await.key(), "AAAA");
    assert_eq!(ask_as(&foreign, desk.grant.expose_token()).await.status, 403);
    assert_eq!(ask_as(&desk.grant, foreign.expose_token()).await.status, 403);
    assert_eq!(desk.recorded(AuditEvent::Serve), 1);
    assert_eq!(desk.recorded(AuditEvent::Deny), 1, "the try with a foreign token is on record");
}

#[tokio::test]
async fn only_get_is_answered() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = desk.send(method, &desk.headers()).await;
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get"), "{}", answer.head);
    }
}

#[tokio::test]
async fn the_host_header_must_be_the_literal_address() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    let port = desk.address().split_once(':').unwrap().1.to_owned();
    let authorization = desk.headers().remove(1);
    for host in
        [&format!("localhost:{port}"), "rebound.example", "127.0.0.1", &format!("127.0.0.1:{port}.example")]
    {
        let answer = desk.send("GET", &[format!("Host: {host}"), authorization.clone()]).await;
        assert_eq!(answer.status, 403, "{host}");
    }
}

#[tokio::test]
async fn forwarded_requests_are_refused() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    for value in ["10.0.0.1", "", "127.0.0.1"] {
        let mut headers = desk.headers();
        headers.push(format!("X-Forwarded-For: {value}"));
        assert_eq!(desk.send("GET", &headers).await.status, 400);
    }
}

#[tokio::test]
async fn only_loopback_is_bound() {
    let desk = Desk::new().await;
    let address: std::net::SocketAddr = desk.address().parse().unwrap();
    assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
    // Every other loopback address is free: the listener is not on a wildcard.
    let elsewhere = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), address.port())).await;
    assert!(elsewhere.is_ok(), "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_at_once_are_all_answered() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    let client = async || {
        for _ in 0..10 {
            assert_eq!(desk.key().await, "AAAA");
        }
    };
    join_all((0..50).map(|_| client())).await;
    assert_eq!(desk.recorded(AuditEvent::Serve), 500);
}

#[tokio::test]
async fn a_stopped_endpoint_answers_nobody() {
    let desk = Desk::new().await;
    desk.endpoint.stop().await;
    assert!(TcpStream::connect(desk.address()).await.is_err());
}
