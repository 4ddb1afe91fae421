//! The service behind the proxies. It accepts any signature.

use std::net::SocketAddr;

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::body::SentBody;
use crate::Result;

/// The last segment of a path whose request body is not read, and whose response does not come.
pub(super) const UNREAD: &str = "unread";
/// The length of the response to a small request.
const RESPONSE_BYTES: usize = 1024;

/// Serves until the runtime ends.
pub(super) async fn start_upstream() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _no_delay = stream.set_nodelay(true);
            tokio::spawn(Builder::new().serve_connection(TokioIo::new(stream), service_fn(respond)));
        }
    });
    Ok(address)
}

/// Returns a fixed text to a POST, the number of received bytes to a PUT, and the number of bytes that the path ends with
/// to a GET.
async fn respond(request: Request<Incoming>) -> std::result::Result<Response<SentBody>, hyper::Error> {
    let last_segment = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let body = match *request.method() {
        Method::GET => SentBody::large(last_segment.parse().unwrap_or_default()),
        Method::PUT if last_segment == UNREAD => std::future::pending().await,
        Method::PUT => SentBody::full(count_bytes(request.into_body()).await?.to_string().into()),
        _ => {
            request.into_body().collect().await?;
            SentBody::full(Bytes::from(vec![b'a'; RESPONSE_BYTES]))
        }
    };
    Ok(Response::new(body))
}

async fn count_bytes(mut body: Incoming) -> std::result::Result<u64, hyper::Error> {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        count += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(count)
}
