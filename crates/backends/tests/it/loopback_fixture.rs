//! A loopback server with scripted responses, for tests of the log of the real HTTP client.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use valetkey_backends::AwsClientConfig;

use crate::{region, with_fast_retries};

/// Responds to one request for each connection, and records the requests.
pub(crate) struct LoopbackFixture {
    url: String,
    sent: Arc<Mutex<Vec<String>>>,
}

impl LoopbackFixture {
    /// Responds to each request with the same body.
    pub(crate) async fn responding(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::with_response(status, move |_| body.clone()).await
    }

    /// Responds with the result of `answer` for a request.
    pub(crate) async fn with_response(
        status: u16,
        respond: impl Fn(&str) -> String + Send + 'static,
    ) -> Self {
        Self::start(move |request| (status, respond(request))).await
    }

    /// Responds with the status and the body that `answer` returns for a request.
    pub(crate) async fn start(respond: impl Fn(&str) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::<Mutex<Vec<String>>>::default();
        let recorded = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                let (status, body) = respond(&request);
                recorded.lock().unwrap().push(request);
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        Self { url, sent }
    }

    pub(crate) fn client_config(&self) -> AwsClientConfig {
        with_fast_retries(&AwsClientConfig::new().region(&region("us-east-1")).endpoint_url(&self.url))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn requests(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    pub(crate) fn requests_text(&self) -> String {
        self.sent.lock().unwrap().join("\n")
    }
}

/// One request, with as much body as it promises.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        if stream.read_buf(&mut text).await.unwrap() == 0 {
            break;
        }
        let so_far = String::from_utf8_lossy(&text).to_lowercase();
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
        let promised = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= promised.unwrap_or(0) {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
