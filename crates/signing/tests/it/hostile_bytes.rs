//! Arbitrary and changed bytes to the listener: no panic, and nothing reaches the service that the program did not sign.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::recording_service::RecordingFixture;
use crate::request_fixture::{signed_request, signed_request_with_hash};

const TARGET: &str = "DynamoDB_20120810.GetItem";
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const BODY: &str = r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#;
/// Ends a head, and is no part of a request: what waits for more bytes fails here. Larger than a frame of HTTP/2.
fn end() -> Vec<u8> {
    [
        b"

"
        .as_slice(),
        &[0; 32 * 1024],
    ]
    .concat()
}

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: 512, failure_persistence: None, ..Config::default() })
}

/// Returns the bytes of a request in HTTP/1.1.
fn wire_format(request: Request<Full<Bytes>>) -> Vec<u8> {
    let (parts, _) = request.into_parts();
    let mut text = format!("{} {} HTTP/1.1\r\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text += &format!("content-length: {}\r\n\r\n{BODY}", BODY.len());
    text.into_bytes()
}

/// Sends the bytes, and returns what the proxy sends until it closes the connection.
async fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The proxy may close the connection before it has read everything.
    let _closed = stream.write_all(bytes).await;
    let _closed = stream.write_all(&end()).await;
    let mut received = Vec::new();
    let _reset = stream.read_to_end(&mut received).await;
    String::from_utf8_lossy(&received).into_owned()
}

#[test]
fn changed_byte_of_request_never_changes_what_is_sent() {
    let runtime = Runtime::new().unwrap();
    let mut fixture = runtime.block_on(RecordingFixture::start());
    let address = fixture.address();
    let whole = || wire_format(signed_request(&fixture.placeholder, TARGET, BODY));
    let accepted = runtime.block_on(exchange(&address, &whole()));
    assert!(accepted.starts_with("HTTP/1.1 200 "), "{accepted}");
    let change = (any::<prop::sample::Index>(), 1_u8..);
    let outcome = runner().run(&change, |(index, change)| {
        let mut bytes = whole();
        let index = index.index(bytes.len());
        bytes[index] ^= change;
        runtime.block_on(exchange(&address, &bytes));
        Ok(())
    });
    outcome.unwrap();
    let expected = ("POST /".to_owned(), TARGET.to_owned(), Bytes::from_static(BODY.as_bytes()));
    let recorded = fixture.recorded();
    assert!(recorded.iter().all(|request| *request == expected), "{recorded:?}");
}

/// The service compares a long body with the hash that it is sent with.
#[tokio::test]
async fn changed_body_is_refused_or_sent_with_signed_hash() {
    const HASH: &str = "x-amz-content-sha256";
    let mut fixture = RecordingFixture::start().await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<_>>();
    for (length, is_sent) in [(64 * 1024, false), (64 * 1024 + 1, true)] {
        let body = Bytes::from(vec![b'a'; length]);
        let mut request = signed_request_with_hash(&fixture.placeholder, TARGET, body);
        let hash = request.headers()[HASH].clone();
        let changed = Bytes::from([&vec![b'a'; length - 1][..], b"b"].concat());
        *request.body_mut() = Full::new(changed.clone());
        *request.uri_mut() = format!("{}{}", fixture.placeholder.url(), request.uri()).parse().unwrap();
        let status = client.request(request).await.unwrap().status().as_u16();
        let sent: Vec<_> = fixture.requests().into_iter().map(Request::into_parts).collect();
        match &sent[..] {
            [] => assert_eq!((is_sent, status), (false, 403), "{length}"),
            [(head, body)] => {
                assert_eq!((is_sent, status, &head.headers[HASH], body), (true, 200, &hash, &changed));
            }
            more => panic!("{more:?}"),
        }
    }
}

#[test]
fn arbitrary_bytes_reach_no_service() {
    let runtime = Runtime::new().unwrap();
    let mut fixture = runtime.block_on(RecordingFixture::start());
    let address = fixture.address();
    let bytes = prop::collection::vec(any::<u8>(), 0..2_000);
    let starts = prop::sample::select(vec![
        Vec::new(),
        HTTP2_PREFACE.to_vec(),
        b"GET / HTTP/1.1\r\n".to_vec(),
        b"POST /~s3/ HTTP/1.1\r\ntransfer-encoding: chunked\r\nauthorization: AWS4-HMAC-SHA256 ".to_vec(),
    ]);
    let outcome = runner().run(&(starts, bytes), |(start, bytes)| {
        let received = runtime.block_on(exchange(&address, &[start, bytes].concat()));
        prop_assert!(!received.starts_with("HTTP/1.1 2"), "{received}");
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(fixture.recorded(), []);
    // The listener still serves.
    let request = wire_format(signed_request(&fixture.placeholder, TARGET, BODY));
    assert!(runtime.block_on(exchange(&address, &request)).starts_with("HTTP/1.1 200 "));
    assert_eq!(fixture.recorded().len(), 1);
}
