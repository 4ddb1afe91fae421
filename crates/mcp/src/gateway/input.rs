//! `EofNotifier`: reports the end of the client's stream immediately.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Wraps a stream, and cancels a token when the stream ends, fails or is dropped.
pub(super) struct EofNotifier<R> {
    stream: R,
    ended: CancellationToken,
}

impl<R> EofNotifier<R> {
    pub(super) fn new(stream: R, ended: CancellationToken) -> Self {
        Self { stream, ended }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for EofNotifier<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let ended = match &read {
            Poll::Ready(Ok(())) => room > 0 && buffer.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.ended.cancel();
        }
        read
    }
}

impl<R> Drop for EofNotifier<R> {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}
