//! `google-cloud-auth`: its token cache, through the credentials of a metadata server on loopback. A background task
//! refreshes; each fetch of a token creates an HTTP client and a connection.

use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, Credentials, mds};
use google_cloud_auth::errors::CredentialsError;
use http::{Extensions, HeaderMap};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::fake_source::Upstream;
use crate::subject::{Peer, Subject};

pub(crate) struct GooglePeer(Credentials);

impl Subject for GooglePeer {
    type Fetched = CacheableResource<HeaderMap>;
    type FetchError = CredentialsError;

    async fn fetch(&self) -> std::result::Result<CacheableResource<HeaderMap>, CredentialsError> {
        self.0.headers(Extensions::new()).await
    }
}

impl Peer for GooglePeer {
    const NAME: &'static str = "google-cloud-auth";
    // Its task refreshes 240 s before expiry: one second after a token of 241 s was issued.
    const STALE_LIFETIME: Option<Duration> = Some(Duration::from_secs(241));
    const SETTLE_TIME: Duration = Duration::from_millis(1_000);

    async fn setup(upstream: Upstream) -> Result<Self> {
        // The client requires a default TLS provider, although no TLS is used. A second installation is ignored.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(serve_metadata(listener, upstream));
        let credentials = mds::Builder::default().with_endpoint(format!("http://{address}")).build()?;
        Ok(Self(credentials))
    }
}

async fn serve_metadata(listener: TcpListener, upstream: Upstream) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(handle_connection(stream, upstream.clone()));
    }
}

/// Responds to every request with a token. A closed connection is ignored.
async fn handle_connection(mut stream: TcpStream, upstream: Upstream) {
    let mut head = [0; 4096];
    let read = stream.read(&mut head).await.unwrap_or_default();
    let is_token_request = head[..read].windows(6).any(|window| window == b"/token");
    let (status, body) =
        if is_token_request { token_response(&upstream).await } else { ("404 Not Found", String::new()) };
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nmetadata-flavor: Google\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _gone = stream.write_all(response.as_bytes()).await;
}

async fn token_response(upstream: &Upstream) -> (&'static str, String) {
    match upstream.call().await {
        Ok(answer) => {
            let seconds = answer.lifetime.as_secs();
            let token = json!({
                "access_token": answer.payload.token,
                "expires_in": seconds,
                "token_type": "Bearer",
            });
            ("200 OK", token.to_string())
        }
        Err(_) => ("503 Service Unavailable", String::new()),
    }
}
