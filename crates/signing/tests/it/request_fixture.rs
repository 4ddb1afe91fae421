//! A service with a fixed response, and a program that sends it signed requests through the proxy.

use std::net::{Ipv4Addr, SocketAddr};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use valetkey_core::{Clock, SystemClock};
use valetkey_signing::Placeholder;

const PATH: &str = "/~dynamodb/";

/// A service that reads one request and sends the same bytes whatever it is. The connection stays open after a response,
/// and is closed without one.
pub(crate) struct ServiceFixture {
    address: SocketAddr,
    serving: JoinHandle<TcpStream>,
}

impl ServiceFixture {
    pub(crate) async fn start(response: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
            // The bodies of these tests end with a brace.
            while !received.ends_with(b"}") {
                let length = stream.read(&mut buffer).await.unwrap();
                assert_ne!(length, 0, "the request is incomplete");
                received.extend_from_slice(&buffer[..length]);
            }
            stream.write_all(response.as_bytes()).await.unwrap();
            if response.is_empty() {
                stream.shutdown().await.unwrap();
            }
            stream
        });
        Self { address, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the connection once the response was sent.
    pub(crate) async fn connection(self) -> TcpStream {
        self.serving.await.unwrap()
    }
}

/// A response of the proxy.
pub(crate) struct ReceivedResponse(Response<Incoming>);

impl ReceivedResponse {
    pub(crate) async fn into_text(self) -> (u16, String) {
        let status = self.0.status().as_u16();
        let body = self.0.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) async fn next_part(&mut self) -> String {
        let part = self.0.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(part.to_vec()).unwrap()
    }
}

/// Returns a request to DynamoDB in `eu-west-1`. Its path is not absolute.
pub(crate) fn signed_request(
    placeholder: &Placeholder,
    target: &str,
    body: &'static str,
) -> Request<Full<Bytes>> {
    sign_request(placeholder, target, body.into(), SigningSettings::default())
}

/// As [`signed_request`], with the hash of the body in a header.
pub(crate) fn signed_request_with_hash(
    placeholder: &Placeholder,
    target: &str,
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    sign_request(placeholder, target, body, settings)
}

fn sign_request(
    placeholder: &Placeholder,
    target: &str,
    body: Bytes,
    settings: SigningSettings,
) -> Request<Full<Bytes>> {
    let (secret, token) = (placeholder.expose_secret_access_key(), placeholder.expose_session_token());
    let key = Credentials::new(placeholder.access_key_id(), secret, Some(token.to_owned()), None, "test");
    let (url, identity) = (placeholder.url(), key.into());
    let host = url.strip_prefix("http://").unwrap();
    let headers = [("host", host), ("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)];
    let uri = format!("{url}{PATH}");
    let signable = SignableRequest::new("POST", &uri, headers.into_iter(), SignableBody::Bytes(&body));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name("dynamodb")
        .time(SystemClock.now())
        .settings(settings)
        .build()
        .unwrap();
    let (instructions, _) = sign(signable.unwrap(), &params.into()).unwrap().into_parts();
    let mut request = Request::builder().method("POST").uri(PATH);
    for (name, value) in headers.into_iter().chain(instructions.headers()) {
        request = request.header(name, value);
    }
    request.body(Full::new(body)).unwrap()
}

/// Sends a request to DynamoDB, on a connection of its own that ends with the response.
pub(crate) async fn send(placeholder: &Placeholder, target: &str, body: &'static str) -> ReceivedResponse {
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    let mut request = signed_request(placeholder, target, body);
    *request.uri_mut() = format!("{}{PATH}", placeholder.url()).parse().unwrap();
    ReceivedResponse(client.request(request).await.unwrap())
}
