//! Clients that open connections without a request, or send too many requests at once: other clients are served
//! regardless.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use valetkey_core::SessionContext;
use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use super::fixture::{EndpointFixture, address_and_path, fetch_with_grant};
use crate::keys::long_lived_keys;

/// Sends half of a request, and returns the connection and the other half.
async fn open_half_request(fixture: &EndpointFixture) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(fixture.address()).await.unwrap();
    let (_, path) = address_and_path(&fixture.grant.url());
    stream.write_all(format!("GET {path} HTTP/1.1\r\n").as_bytes()).await.unwrap();
    (stream, format!("{}\r\n\r\n", fixture.headers().join("\r\n")))
}

/// Reads until the other side closes or resets the connection.
async fn read_to_close(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let _hung_up: io::Result<usize> = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test(start_paused = true)]
async fn endpoint_half_requests_are_bounded_and_block_no_reader() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(open_half_request(&fixture).await.0);
    }
    assert_eq!(fixture.fetch_key().await, "AAAA");
    assert_eq!(read_to_close(silent.swap_remove(0)).await, "", "the oldest was dropped");
    for _ in 0..600 {
        silent.push(open_half_request(&fixture).await.0);
        silent.truncate(400);
    }
    assert_eq!(fixture.fetch_key().await, "AAAA");
}

#[tokio::test(start_paused = true)]
async fn endpoint_half_request_is_dropped_after_timeout() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let (stream, _rest) = open_half_request(&fixture).await;
    assert_eq!(fixture.fetch_key().await, "AAAA", "the half request was accepted before this one");
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(read_to_close(stream).await, "");
}

#[tokio::test]
async fn endpoint_request_in_two_parts_is_served() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let (mut stream, rest) = open_half_request(&fixture).await;
    stream.write_all(rest.as_bytes()).await.unwrap();
    assert!(read_to_close(stream).await.contains("ASIA000000000000AAAA"));
}

#[tokio::test(start_paused = true)]
async fn endpoint_grant_request_limit_returns_429_to_that_reader() {
    let provider = ScriptedProvider::new([Script::Hang]);
    let fixture = EndpointFixture::with_builder(|session| session.provider(provider)).await;
    let mut waiting: FuturesUnordered<_> = (0..70).map(|_| fixture.fetch()).collect();
    // Time is stopped: the accepted requests wait indefinitely, and only the rejected ones get a response.
    for _ in 0..6 {
        assert_eq!(waiting.next().await.map(|response| response.status), Some(429));
    }
    let other = SessionContext::builder().build();
    other.set_credentials(long_lived_keys("BBBB")).unwrap();
    let grant = fixture.endpoint.grant(
        other.account(other.default_account()).unwrap(),
        "other",
        AdvertisedExpiry::Actual,
    );
    assert_eq!(fetch_with_grant(&grant).await.key_suffix(), "BBBB");
}

#[tokio::test]
async fn endpoint_stopped_serves_no_open_connection() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let (mut stream, rest) = open_half_request(&fixture).await;
    assert_eq!(fixture.fetch_key().await, "AAAA", "the half request was accepted before this one");
    fixture.endpoint.stop().await;
    let _refused: io::Result<()> = stream.write_all(rest.as_bytes()).await;
    assert!(!read_to_close(stream).await.contains("200 OK"));
}
