//! Just enough HTTP to ask a peer on loopback a question: one request, one connection, no TLS.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct PeerResponse {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends `METHOD PATH` with a plain-text body and reads the whole answer.
pub(crate) async fn send_request(port: u16, request: &str, body: &str) -> io::Result<PeerResponse> {
    timeout(REQUEST_TIMEOUT, exchange(port, request, body)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn exchange(port: u16, request: &str, body: &str) -> io::Result<PeerResponse> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let head = format!(
        "{request} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    parse(&String::from_utf8_lossy(&text)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(text: &str) -> Option<PeerResponse> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some(PeerResponse { status, body: body.to_owned() })
}
