//! `SentBody`: a body of known length that is never waited for.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// The size of a frame of a large body, and of a signed chunk.
pub(crate) const FRAME: usize = 64 * 1024;

/// The frames of a request or response. Equal frames share their bytes, so that a large body needs no memory.
pub(crate) struct SentBody {
    frames: Box<dyn Iterator<Item = Bytes> + Send>,
    remaining: u64,
}

impl SentBody {
    pub(crate) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        Self::from_frames(vec![bytes])
    }

    pub(crate) fn from_frames(frames: Vec<Bytes>) -> Self {
        let remaining = frames.iter().map(|frame| frame.len() as u64).sum();
        let frames = frames.into_iter().filter(|frame| !frame.is_empty());
        Self { frames: Box::new(frames), remaining }
    }

    /// Returns a body of `length` bytes, rounded down to whole frames.
    pub(crate) fn large(length: u64) -> Self {
        let frame = large_frame();
        let count = length / FRAME as u64;
        let frames = (0..count).map(move |_| frame.clone());
        Self { frames: Box::new(frames), remaining: count * FRAME as u64 }
    }
}

/// Returns the frame that a large body repeats.
pub(crate) fn large_frame() -> Bytes {
    Bytes::from((0..FRAME).map(|index| (index * 31 % 251) as u8).collect::<Vec<_>>())
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(bytes) = self.frames.next() else { return Poll::Ready(None) };
        self.remaining -= bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
