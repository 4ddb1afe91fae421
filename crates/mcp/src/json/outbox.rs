//! `BoundedLineWriter`: writes lines to a peer, with a bounded number of pending lines.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::FutureExt;
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::write_exact;

/// The maximum number of lines that are pending while a peer does not read.
const MAX_PENDING_LINES: usize = 64;

/// Writes lines to the input of a peer. Clones share the input.
pub(crate) struct BoundedLineWriter<W> {
    /// Locked for one write at a time, which keeps lines whole and in order.
    writer: Arc<Mutex<Option<W>>>,
    pending: Arc<AtomicUsize>,
    written: Arc<Notify>,
    closing: CancellationToken,
}

impl<W> Clone for BoundedLineWriter<W> {
    fn clone(&self) -> Self {
        Self {
            writer: Arc::clone(&self.writer),
            pending: Arc::clone(&self.pending),
            written: Arc::clone(&self.written),
            closing: self.closing.clone(),
        }
    }
}

/// Counts a pending line, until it is written or abandoned.
struct PendingLine(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for PendingLine {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        self.1.notify_waiters();
    }
}

impl<W: AsyncWrite + Send + Unpin + 'static> BoundedLineWriter<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self {
            writer: Arc::new(Mutex::new(Some(writer))),
            pending: Arc::default(),
            written: Arc::default(),
            closing: CancellationToken::new(),
        }
    }

    /// Whether the number of pending lines has reached the maximum.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.load(Ordering::Acquire) >= MAX_PENDING_LINES
    }

    /// Whether the input is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Waits until the input is closed. Cancel safe.
    pub(crate) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// Waits until the writer is not full, or is closed. Cancel safe.
    pub(crate) async fn wait_not_full(&self) {
        loop {
            let written = self.written.notified();
            if !self.is_full() || self.closing.is_cancelled() {
                return;
            }
            tokio::select! {
                () = written => {}
                () = self.closing.cancelled() => return,
            }
        }
    }

    /// Writes a message as one line. The line counts as pending, and has its place among other lines, from this call
    /// on, not only from the first poll.
    pub(crate) fn send<M: Serialize>(&self, message: &M) -> impl Future<Output = io::Result<()>> + use<M, W> {
        self.send_line(encode_line(message))
    }

    fn send_line(&self, line: io::Result<Vec<u8>>) -> impl Future<Output = io::Result<()>> + use<W> {
        self.pending.fetch_add(1, Ordering::AcqRel);
        let waiting = PendingLine(Arc::clone(&self.pending), Arc::clone(&self.written));
        let closing = self.closing.clone();
        let mut writer = Box::pin(Arc::clone(&self.writer).lock_owned());
        // The lock is fair, so that the first poll takes a place in its queue.
        let locked = writer.as_mut().now_or_never();
        async move {
            let _waiting = waiting;
            let line = line?;
            let gone = || io::Error::from(io::ErrorKind::NotConnected);
            let write = async {
                let mut writer = match locked {
                    Some(locked) => locked,
                    None => writer.await,
                };
                let writer = writer.as_mut().ok_or_else(gone)?;
                writer.write_all(&line).await?;
                writer.flush().await
            };
            closing.run_until_cancelled(write).await.unwrap_or_else(|| Err(gone()))
        }
    }

    /// Writes a message as one line.
    ///
    /// # Cancel safety
    /// Dropping the future never leaves a part of a line: a line that the peer does not read at once is written in a
    /// task.
    pub(crate) async fn write<M: Serialize>(&self, message: &M) -> io::Result<()> {
        let mut sending = Box::pin(self.send_line(encode_line(message)));
        match futures_util::poll!(sending.as_mut()) {
            Poll::Ready(written) => written,
            Poll::Pending => tokio::spawn(sending).await.map_err(io::Error::other)?,
        }
    }

    /// Closes the input. Aborts a write in progress, which would never finish if the peer has stopped reading.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        drop(self.writer.lock().await.take());
    }
}

fn encode_line(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    write_exact(&mut line, message).map_err(io::Error::other)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncBufReadExt, BufReader};

    #[tokio::test]
    async fn line_writer_is_full_until_peer_reads() {
        let (near, far) = tokio::io::duplex(16);
        let outbox = BoundedLineWriter::new(near);
        let sends: Vec<_> = (0..MAX_PENDING_LINES)
            .map(|n| {
                assert!(!outbox.is_full());
                tokio::spawn(outbox.send(&json!({"n": n, "text": "longer than the pipe"})))
            })
            .collect();
        assert!(outbox.is_full());
        let mut lines = BufReader::new(far).lines();
        tokio::join!(outbox.wait_not_full(), async { lines.next_line().await.unwrap() });
        assert!(!outbox.is_full());
        for n in 1..MAX_PENDING_LINES {
            let line = lines.next_line().await.unwrap().unwrap();
            assert!(line.starts_with(&format!("{{\"n\":{n},")), "in order: {line}");
        }
        for send in sends {
            send.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn line_writer_dropped_write_leaves_whole_line() {
        let (near, far) = tokio::io::duplex(16);
        let outbox = BoundedLineWriter::new(near);
        let (long, next) = (json!("x".repeat(1 << 10)), json!("y"));
        let mut writing = Box::pin(outbox.write(&long));
        assert!(futures_util::poll!(writing.as_mut()).is_pending());
        drop(writing);
        let mut lines = BufReader::new(far).lines();
        let (written, first) = tokio::join!(outbox.write(&next), lines.next_line());
        written.unwrap();
        assert_eq!(first.unwrap().unwrap(), long.to_string());
        assert_eq!(lines.next_line().await.unwrap().unwrap(), next.to_string());
    }

    #[tokio::test]
    async fn line_writer_close_aborts_write_in_progress() {
        let (near, _far) = tokio::io::duplex(16);
        let outbox = BoundedLineWriter::new(near);
        let sending = tokio::spawn(outbox.send(&json!("x".repeat(1 << 20))));
        while outbox.writer.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        outbox.close().await;
        assert_eq!(sending.await.unwrap().unwrap_err().kind(), io::ErrorKind::NotConnected);
        outbox.wait_not_full().await;
    }
}
