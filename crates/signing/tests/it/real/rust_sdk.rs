//! The AWS SDK for Rust through the proxy. Over `http`, it signs each chunk of a streamed body, and its trailer.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use valetkey_rig::{MiniStack, Moto, REGION};
use valetkey_signing::Placeholder;

use super::fixture::{ProxyFixture, moto_key, user_key};

const SIGNED_CHUNKS: &str = "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";

fn client(placeholder: &Placeholder) -> Client {
    let variables = placeholder.environment();
    let (_, endpoint) = variables.iter().find(|(name, _)| name == "AWS_ENDPOINT_URL_S3").unwrap();
    let credentials = SdkCredentials::new(
        placeholder.access_key_id(),
        placeholder.expose_secret_access_key(),
        Some(placeholder.expose_session_token().to_owned()),
        None,
        "placeholder",
    );
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .force_path_style(true);
    Client::from_conf(config.build())
}

/// A body of several chunks, which is read from a file, so that its hash is not known before it is sent.
async fn streamed_body() -> (NamedTempFile, ByteStream) {
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    (file, body)
}

async fn assert_round_trip(placeholder: &Placeholder) {
    let (client, (file, body)) = (client(placeholder), streamed_body().await);
    client.create_bucket().bucket("chunks").send().await.unwrap();
    let put = client.put_object().bucket("chunks").key("a b/c+d").body(body).send().await;
    put.unwrap_or_else(|error| panic!("{}", DisplayErrorContext(error)));
    let found = client.get_object().bucket("chunks").key("a b/c+d").send().await.unwrap();
    assert_eq!(found.body.collect().await.unwrap().to_vec(), std::fs::read(file.path()).unwrap());
}

#[tokio::test]
async fn signed_chunks_of_rust_sdk_reach_moto_unchanged() {
    let moto = Moto::start().await.unwrap();
    let fixture = ProxyFixture::start_with(&moto.url(), &moto_key()).await;
    assert_round_trip(&fixture.placeholder).await;
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn signed_chunks_of_rust_sdk_reach_strict_peer() {
    let ministack = MiniStack::start().await.unwrap();
    let fixture = ProxyFixture::start_with(&ministack.url(), &user_key(&ministack).await).await;
    assert_round_trip(&fixture.placeholder).await;
    ministack.stop().await.unwrap();
}

/// Accepts a connection, and returns it with the head of the request.
async fn accept_request(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
    }
    (stream, String::from_utf8_lossy(&head).into_owned())
}

#[tokio::test]
async fn clear_ends_request_that_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fixture = ProxyFixture::start_with(&url, &moto_key()).await;
    let (_file, body) = streamed_body().await;
    let put = client(&fixture.placeholder).put_object().bucket("b").key("k").body(body).send();
    let service = async {
        let (mut stream, head) = accept_request(&listener).await;
        assert!(head.contains(SIGNED_CHUNKS), "{head}");
        fixture.session.clear();
        let mut rest = Vec::new();
        // The connection ends before the body does.
        let _end = stream.read_to_end(&mut rest).await;
        assert!(!rest.ends_with(b"\r\n\r\n"));
    };
    let (result, ()) = tokio::join!(put, service);
    let error = DisplayErrorContext(result.unwrap_err()).to_string();
    // An SDK that sees the end of the connection before the response repeats the request, which is refused.
    let refusals = ["the credentials were cleared during the request", "this session was cleared"];
    assert!(refusals.iter().any(|refusal| error.contains(&format!("valetkey: {refusal}"))), "{error}");
}

#[tokio::test]
async fn clear_ends_response_that_is_streamed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fixture = ProxyFixture::start_with(&url, &moto_key()).await;
    let service = async {
        let (mut stream, _) = accept_request(&listener).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\npart").await.unwrap();
        stream
    };
    let get = client(&fixture.placeholder).get_object().bucket("b").key("k").send();
    let (found, mut stream) = tokio::join!(get, service);
    let mut body = found.unwrap().body;
    assert_eq!(body.next().await.unwrap().unwrap().as_ref(), b"part");
    fixture.session.clear();
    assert!(body.next().await.unwrap().is_err());
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or_default(), 0, "the connection to the service ended");
}
