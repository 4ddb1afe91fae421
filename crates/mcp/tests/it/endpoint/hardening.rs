//! Requests that the endpoint rejects, without revealing which grants exist.

use std::net::Ipv4Addr;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::Canary;
use valetkey_core::{Expiry, SessionContext};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use super::client::{EndpointFixture, EndpointResponse, fetch_with_grant, fetch_with_token, send_request};

fn status_and_body(answer: &EndpointResponse) -> (u16, &Value) {
    (answer.status, &answer.body)
}

#[tokio::test]
async fn endpoint_wrong_token_or_path_gets_identical_response() {
    let desk = EndpointFixture::new().await;
    desk.set_credentials("AAAA");
    let other = SessionContext::builder().build();
    let foreign = desk.endpoint.grant(
        other.account(other.default_account()).unwrap(),
        "other",
        AdvertisedExpiry::Actual,
    );
    let bad = fetch_with_token(&desk.grant, "nonsense").await;
    assert_eq!(bad.status, 403);

    let host = [format!("Host: {}", desk.address())];
    let token = desk.headers();
    let mut others = vec![
        desk.send_to_grant("GET", &host).await,
        fetch_with_token(&desk.grant, "").await,
        fetch_with_token(&desk.grant, &format!("{}x", desk.grant.expose_token())).await,
        fetch_with_token(&desk.grant, foreign.expose_token()).await,
    ];
    for path in ["/", "/credentials", "/credentials/", "/credentials/x", "/credentials/%FF", "/a/b/c"] {
        others.push(send_request(&desk.address(), &format!("GET {path} HTTP/1.1"), &token).await);
    }
    for answer in &others {
        assert_eq!(status_and_body(answer), status_and_body(&bad));
    }
}

#[tokio::test]
async fn endpoint_token_reads_only_its_own_account() {
    let (desk, canary) = (EndpointFixture::new().await, Canary::new());
    desk.set_credentials("AAAA");
    let other = SessionContext::builder().build();
    other.set_credentials(canary.credentials(Expiry::Never).unwrap()).unwrap();
    let foreign = desk.endpoint.grant(
        other.account(other.default_account()).unwrap(),
        "other",
        AdvertisedExpiry::Actual,
    );

    assert_eq!(desk.fetch_key().await, "AAAA");
    assert_ne!(fetch_with_grant(&foreign).await.key_suffix(), "AAAA");
    assert_eq!(fetch_with_token(&foreign, desk.grant.expose_token()).await.status, 403);
    assert_eq!(fetch_with_token(&desk.grant, foreign.expose_token()).await.status, 403);
    assert_eq!(desk.count_records(AuditEvent::Serve), 1);
    assert_eq!(desk.count_records(AuditEvent::Deny), 1, "the try with a foreign token is on record");
}

#[tokio::test]
async fn endpoint_other_methods_return_405() {
    let desk = EndpointFixture::new().await;
    desk.set_credentials("AAAA");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = desk.send_to_grant(method, &desk.headers()).await;
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get"), "{}", answer.head);
    }
}

#[tokio::test]
async fn endpoint_other_host_header_is_refused() {
    let desk = EndpointFixture::new().await;
    desk.set_credentials("AAAA");
    let port = desk.address().split_once(':').unwrap().1.to_owned();
    let authorization = desk.headers().remove(1);
    for host in
        [&format!("localhost:{port}"), "rebound.example", "127.0.0.1", &format!("127.0.0.1:{port}.example")]
    {
        let answer = desk.send_to_grant("GET", &[format!("Host: {host}"), authorization.clone()]).await;
        assert_eq!(answer.status, 403, "{host}");
    }
}

#[tokio::test]
async fn endpoint_forwarded_request_is_refused() {
    let desk = EndpointFixture::new().await;
    desk.set_credentials("AAAA");
    for value in ["10.0.0.1", "", "127.0.0.1"] {
        let mut headers = desk.headers();
        headers.push(format!("X-Forwarded-For: {value}"));
        assert_eq!(desk.send_to_grant("GET", &headers).await.status, 400);
    }
}

#[tokio::test]
async fn endpoint_binds_only_loopback() {
    let desk = EndpointFixture::new().await;
    let address: std::net::SocketAddr = desk.address().parse().unwrap();
    assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
    // Every other loopback address is free, so the listener is not bound to a wildcard address.
    let elsewhere = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), address.port())).await;
    assert!(elsewhere.is_ok(), "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_concurrent_clients_are_all_served() {
    let desk = EndpointFixture::new().await;
    desk.set_credentials("AAAA");
    let client = async || {
        for _ in 0..10 {
            assert_eq!(desk.fetch_key().await, "AAAA");
        }
    };
    join_all((0..50).map(|_| client())).await;
    assert_eq!(desk.count_records(AuditEvent::Serve), 500);
}

#[tokio::test]
async fn endpoint_stopped_refuses_connections() {
    let desk = EndpointFixture::new().await;
    desk.endpoint.stop().await;
    assert!(TcpStream::connect(desk.address()).await.is_err());
}
