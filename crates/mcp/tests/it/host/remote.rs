//! Remote servers that cannot be used are reported with the reason, and reached nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use valetkey_core::{Error, ErrorKind};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;
use valetkey_mcp::signing::Rules;

use crate::host_fixture::HostFixture;

/// A server that sends this response to every request.
struct CannedServerFixture {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl CannedServerFixture {
    async fn start(response: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let requests = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut stream = BufReader::new(stream);
                let (mut line, mut length) = (String::new(), 0);
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                    let header = line.to_ascii_lowercase();
                    let value = header.strip_prefix("content-length:");
                    length = value.map_or(length, |value| value.trim().parse().unwrap());
                    line.clear();
                }
                stream.read_exact(&mut vec![0; length]).await.unwrap_or_default();
                stream.write_all(response.as_bytes()).await.unwrap_or_default();
            }
        });
        Self { url, requests }
    }
}

fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Returns the error that the catalog reports for the server.
async fn server_error(server: ServerConfig) -> Error {
    let fixture = HostFixture::without_credentials([("remote", server)]).await;
    fixture.set("AAAA");
    let catalog = fixture.catalog().await;
    fixture.host.shutdown().await;
    catalog.errors.first().unwrap_or_else(|| panic!("{catalog:?}")).error.clone()
}

#[tokio::test]
async fn remote_server_with_unusable_response_is_unavailable() {
    let target = CannedServerFixture::start(response("500 Error", "", "")).await;
    let location = format!("location: {}\r\n", target.url);
    for (response, words) in [
        (response("307 Temporary Redirect", &location, ""), "redirect (HTTP 307), which is not followed"),
        (response("500 Error", "", "out of\u{1b} order"), "HTTP 500: out of\\u{1b} order"),
        (response("401 Unauthorized", "", ""), "HTTP 401"),
        (response("200 OK", "content-type: text/html\r\n", "<p>"), "neither JSON nor events"),
        (response("200 OK", "content-type: text/event-stream\r\n", "data: {}\n\n"), "before its result"),
        (
            response("400 Bad Request", "", r#"{"error": {"code": -32000, "message": "no such version"}}"#),
            "refused the handshake: no such version",
        ),
    ] {
        let server = CannedServerFixture::start(response).await;
        let error = server_error(ServerConfig::remote(&server.url)).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains(words), "{words}: {error}");
        assert!(server.requests.load(Ordering::Relaxed) > 0);
    }
    assert_eq!(target.requests.load(Ordering::Relaxed), 0, "no redirect is followed");
}

#[tokio::test]
async fn server_with_settings_of_another_kind_is_invalid() {
    let signed = |server: ServerConfig| {
        let mut server = server;
        server.delivery = Delivery::SigV4;
        server
    };
    let mut keyless = ServerConfig::remote("https://tools.example.com/mcp");
    keyless.delivery = Delivery::Proxy;
    let mut limited = ServerConfig::new("true");
    limited.requests = Rules::default().deny("s3:*").unwrap();
    let mut authorized = signed(ServerConfig::remote("https://aws-mcp.us-east-1.api.aws/mcp"));
    authorized.headers.insert("authorization".to_owned(), "Bearer x".to_owned());
    let mut reserved = ServerConfig::remote("https://tools.example.com/mcp");
    reserved.headers.insert("Mcp-Method".to_owned(), "x".to_owned());
    for (server, field) in [
        (signed(ServerConfig::new("true")), "credentials"),
        (keyless, "credentials"),
        (limited, "requests"),
        (authorized, "headers.Authorization"),
        (reserved, "headers"),
        (signed(ServerConfig::remote("https://tools.example.com/mcp")), "url"),
        (ServerConfig::remote("http://tools.example.com/mcp"), "url"),
    ] {
        let error = server_error(server).await;
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{error}");
    }
}
