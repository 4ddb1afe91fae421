//! Cleartext HTTP/2: the same checks and limits as in HTTP/1.1.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::recording_service::RecordingFixture;
use crate::request_fixture::signed_request;

const TARGET: &str = "DynamoDB_20120810.GetItem";
const BODY: &str = "{}";

async fn connect(fixture: &RecordingFixture) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(fixture.address()).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(fixture: &RecordingFixture) -> Request<Full<Bytes>> {
    request_for(fixture, TARGET)
}

/// Returns a signed request in the form of HTTP/2: the authority replaces the header `Host`.
fn request_for(fixture: &RecordingFixture, target: &str) -> Request<Full<Bytes>> {
    let mut request = signed_request(&fixture.placeholder, target, BODY);
    request.headers_mut().remove("host");
    *request.uri_mut() = format!("{}{}", fixture.placeholder.url(), request.uri()).parse().unwrap();
    request
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn http2_signed_request_is_forwarded_as_it_is() {
    let mut fixture = RecordingFixture::start().await;
    let mut sender = connect(&fixture).await;
    let response = sender.send_request(request(&fixture)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{}", text(response).await);
    assert_eq!(fixture.recorded(), [("POST /".to_owned(), TARGET.to_owned(), Bytes::from(BODY))]);
}

#[tokio::test]
async fn http2_other_authority_or_header_is_refused() {
    let mut fixture = RecordingFixture::start().await;
    let mut sender = connect(&fixture).await;
    let mut other_authority = request(&fixture);
    *other_authority.uri_mut() = "http://dynamodb.eu-west-1.amazonaws.com/~dynamodb/".parse().unwrap();
    let mut changed = request(&fixture);
    changed.headers_mut().insert("x-amz-target", "DynamoDB_20120810.DeleteTable".parse().unwrap());
    let mut forwarded = request(&fixture);
    forwarded.headers_mut().insert("x-forwarded-for", "10.0.0.1".parse().unwrap());
    for refused in [other_authority, changed, forwarded] {
        let response = sender.send_request(refused).await.unwrap();
        assert!(response.status().is_client_error());
        assert!(text(response).await.contains("valetkey: "));
    }
    assert_eq!(fixture.recorded(), []);
}

#[tokio::test]
async fn http2_head_above_limit_is_refused() {
    let mut fixture = RecordingFixture::start().await;
    let mut sender = connect(&fixture).await;
    let mut large = request(&fixture);
    large.headers_mut().insert("user-agent", "a".repeat(80 * 1024).parse().unwrap());
    let refused = sender.send_request(large).await;
    assert!(refused.is_err() || refused.is_ok_and(|response| response.status().is_client_error()));
    assert_eq!(fixture.recorded(), []);
}

#[tokio::test]
async fn http2_streams_beyond_limit_wait_for_others() {
    let mut fixture = RecordingFixture::start().await;
    let mut sender = connect(&fixture).await;
    // With the first response, the client knows the limit.
    assert_eq!(sender.send_request(request(&fixture)).await.unwrap().status(), StatusCode::OK);
    let requests: Vec<_> = (0..200)
        .map(|number| {
            let request = request_for(&fixture, &format!("DynamoDB_20120810.Operation{number}"));
            let mut sender = sender.clone();
            tokio::spawn(async move {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap().status()
            })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(fixture.recorded().len(), 201);
}
