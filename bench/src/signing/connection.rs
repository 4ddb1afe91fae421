//! `ClientConnection`: one connection of a client, which is kept open.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::SentBody;
use crate::Result;

pub(crate) struct ClientConnection {
    sender: SendRequest<SentBody>,
}

impl ClientConnection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends a request, and returns the response without its body.
    pub(crate) async fn send(&mut self, request: Request<SentBody>) -> Result<Response<Incoming>> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
    }

    /// Sends a request, reads the response, and returns the time that both took, with the last frame and the length of the
    /// response.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<SentBody>,
    ) -> Result<(Duration, Option<Bytes>, u64)> {
        let begun = Instant::now();
        let mut body = self.send(request).await?.into_body();
        let (mut last, mut length) = (None, 0);
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                length += data.len() as u64;
                last = Some(data);
            }
        }
        Ok((begun.elapsed(), last, length))
    }
}
