//! Event streams: the messages of one request or of one legacy session, with comments while there are none.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream::unfold;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::auth::Lease;
use super::response::HttpResponse;

/// Less than the idle timeout of any common reverse proxy.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// A comment, which every client ignores.
const HEARTBEAT: &[u8] = b": waiting\n\n";

/// The source of a stream's messages.
pub(super) trait EventSource: Send + 'static {
    /// Returns the next message as JSON, or `None` at the end. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// A stream in progress. Its first event is a comment, whatever the source has.
struct StreamState<S> {
    source: S,
    /// Whether the first comment was sent, which makes a proxy forward the head of the response.
    is_open: bool,
    lease: Lease,
    stop: CancellationToken,
}

/// Returns a response that streams the messages of `source` until it ends, `lease` has ended or `stop` fires. The
/// client's disconnect drops `source`.
pub(super) fn event_stream(source: impl EventSource, lease: Lease, stop: CancellationToken) -> HttpResponse {
    let state = StreamState { source, is_open: false, lease, stop };
    let frames = unfold(state, |mut state| async move {
        let event = state.next_event().await?;
        Some((Ok::<_, Infallible>(Frame::data(event)), state))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    set_stream_headers(response.headers_mut());
    response
}

fn set_stream_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // Prevents nginx from buffering the events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

impl<S: EventSource> StreamState<S> {
    async fn next_event(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.is_open, true) {
            return Some(Bytes::from_static(HEARTBEAT));
        }
        tokio::select! {
            biased;
            () = self.lease.ended() => None,
            message = self.source.next() => Some(event(&message?)),
            () = self.stop.cancelled() => None,
            () = sleep(HEARTBEAT_INTERVAL) => Some(Bytes::from_static(HEARTBEAT)),
        }
    }
}

/// Returns the event of a message. JSON text contains no line break.
fn event(message: &[u8]) -> Bytes {
    [b"event: message\ndata: ", message, b"\n\n"].concat().into()
}
