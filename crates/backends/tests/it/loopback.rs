//! A loopback server that answers as told: for tests of what the real HTTP client logs on its way.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use valetkey_backends::AwsClientConfig;

use crate::{region, with_fast_retries};

/// Answers one request a connection, and keeps what it was sent.
pub(crate) struct LoopbackFixture {
    url: String,
    sent: Arc<Mutex<Vec<String>>>,
}

impl LoopbackFixture {
    /// Answers every request with the same body.
    pub(crate) async fn responding(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::with_response(status, move |_| body.clone()).await
    }

    /// Answers with what `answer` makes of a request.
    pub(crate) async fn with_response(status: u16, answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        Self::start(move |request| (status, answer(request))).await
    }

    /// Answers with the status and the body that `answer` makes of a request.
    pub(crate) async fn start(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                let (status, body) = answer(&request);
                kept.lock().unwrap().push(request);
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
