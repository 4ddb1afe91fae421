//! Requests that the endpoint rejects, without revealing which grants exist.

use std::net::Ipv4Addr;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::Canary;
use valetkey_core::{Expiry, SessionContext};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use super::fixture::{EndpointFixture, EndpointResponse, fetch_with_grant, fetch_with_token, send_request};

fn status_and_body(response: &EndpointResponse) -> (u16, &Value) {
    (response.status, &response.body)
}

#[tokio::test]
async fn endpoint_wrong_token_or_path_gets_identical_response() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let other = SessionContext::builder().build();
    let foreign = fixture.endpoint.grant(
        other.account(other.default_account()).unwrap(),
        "other",
        AdvertisedExpiry::Actual,
    );
    let bad = fetch_with_token(&fixture.grant, "nonsense").await;
    assert_eq!(bad.status, 403);

    let host = [format!("Host: {}", fixture.address())];
    let token = fixture.headers();
    let mut others = vec![
        fixture.send_to_grant("GET", &host).await,
        fetch_with_token(&fixture.grant, "").await,
        fetch_with_token(&fixture.grant, &format!("{}x", fixture.grant.expose_token())).await,
        fetch_with_token(&fixture.grant, foreign.expose_token()).await,
    ];
    for path in ["/", "/credentials", "/credentials/", "/credentials/x", "/credentials/%FF", "/a/b/c"] {
        others.push(send_request(&fixture.address(), &format!("GET {path} HTTP/1.1"), &token).await);
    }
    for response in &others {
        assert_eq!(status_and_body(response), status_and_body(&bad));
    }
}

#[tokio::test]
async fn endpoint_token_reads_only_its_own_account() {
    let (fixture, canary) = (EndpointFixture::new().await, Canary::new());
    fixture.set_credentials("AAAA");
    let other = SessionContext::builder().build();
    other.set_credentials(canary.credentials(Expiry::Never).unwrap()).unwrap();
    let foreign = fixture.endpoint.grant(
        other.account(other.default_account()).unwrap(),
        "other",
        AdvertisedExpiry::Actual,
    );

    assert_eq!(fixture.fetch_key().await, "AAAA");
    assert_ne!(fetch_with_grant(&foreign).await.key_suffix(), "AAAA");
    assert_eq!(fetch_with_token(&foreign, fixture.grant.expose_token()).await.status, 403);
    assert_eq!(fetch_with_token(&fixture.grant, foreign.expose_token()).await.status, 403);
    assert_eq!(fixture.count_records(AuditEvent::Serve), 1);
    assert_eq!(fixture.count_records(AuditEvent::Deny), 1, "the try with a foreign token is on record");
}

#[tokio::test]
async fn endpoint_other_methods_return_405() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let response = fixture.send_to_grant(method, &fixture.headers()).await;
        assert_eq!(response.status, 405, "{method}");
        assert!(response.head.contains("allow: get"), "{}", response.head);
    }
}

#[tokio::test]
async fn endpoint_other_host_header_is_refused() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let port = fixture.address().split_once(':').unwrap().1.to_owned();
    let authorization = fixture.headers().remove(1);
    for host in [
        &format!("localhost:{port}"),
        "rebound.example",
        "localhost",
        "127.0.0.1:80",
        &format!("127.0.0.1:{port}.example"),
    ] {
        let response = fixture.send_to_grant("GET", &[format!("Host: {host}"), authorization.clone()]).await;
        assert_eq!(response.status, 403, "{host}");
    }
}

#[tokio::test]
async fn endpoint_own_address_as_host_is_accepted() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let authorization = fixture.headers().remove(1);
    for host in [&*fixture.address(), "127.0.0.1"] {
        let response = fixture.send_to_grant("GET", &[format!("Host: {host}"), authorization.clone()]).await;
        assert_eq!(response.status, 200, "{host}");
    }
}

#[tokio::test]
async fn endpoint_forwarded_request_is_refused() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    for value in ["10.0.0.1", "", "127.0.0.1"] {
        let mut headers = fixture.headers();
        headers.push(format!("X-Forwarded-For: {value}"));
        assert_eq!(fixture.send_to_grant("GET", &headers).await.status, 400);
    }
}

#[tokio::test]
async fn endpoint_binds_only_loopback() {
    let fixture = EndpointFixture::new().await;
    let address: std::net::SocketAddr = fixture.address().parse().unwrap();
    assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
    // Every other loopback address is free, so the listener is not bound to a wildcard address.
    let elsewhere = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), address.port())).await;
    assert!(elsewhere.is_ok(), "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_concurrent_clients_are_all_served() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let client = async || {
        for _ in 0..10 {
            assert_eq!(fixture.fetch_key().await, "AAAA");
        }
    };
    join_all((0..50).map(|_| client())).await;
    assert_eq!(fixture.count_records(AuditEvent::Serve), 500);
}

#[tokio::test]
async fn endpoint_stopped_refuses_connections() {
    let fixture = EndpointFixture::new().await;
    fixture.endpoint.stop().await;
    assert!(TcpStream::connect(fixture.address()).await.is_err());
}
