//! What a child says on standard error: drained always, kept in part, shown only masked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Redactor;

/// How much is kept, in bytes.
const KEPT: usize = 16 * 1024;

/// How long the last words of a child are waited for. What it started may hold the stream open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The last 16 KiB of a child's standard error.
#[derive(Clone, Default)]
pub struct StderrTail(Arc<Tail>);

#[derive(Default)]
struct Tail {
    kept: Mutex<VecDeque<u8>>,
    ended: CancellationToken,
}

impl StderrTail {
    /// Reads until the stream ends, so that the child never blocks on a full pipe.
    pub(super) async fn drain(self, mut stream: impl AsyncRead + Unpin) {
        let _ended = self.0.ended.clone().drop_guard();
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend(&chunk[..read]);
            let excess = kept.len().saturating_sub(KEPT);
            kept.drain(..excess);
        }
    }

    /// Waits until the child has said its last, for a moment at most.
    pub async fn last_words(&self) {
        // Whatever was said until then is shown.
        let _said = timeout(LAST_WORDS, self.0.ended.cancelled()).await;
    }

    /// The last `lines` lines, with the secrets that `redactor` knows masked.
    #[must_use]
    pub fn masked(&self, redactor: &Redactor, lines: usize) -> String {
        let kept: Vec<u8> =
            self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = redactor.mask(&String::from_utf8_lossy(&kept));
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl std::fmt::Debug for StderrTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StderrTail").finish_non_exhaustive()
    }
}
