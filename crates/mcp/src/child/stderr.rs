//! The standard error of a child: always drained, partly kept, and shown only with secrets masked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::escape_control_chars;

use crate::Redactor;

/// Limit on the text shown, in bytes.
const MAX_SHOWN_BYTES: usize = 16 * 1024;
/// Limit on the text kept, in bytes. Dropping the beginning may cut a secret in two, and half a secret is not
/// recognized. So the buffer exceeds the shown text by three times the longest possible secret.
const MAX_KEPT_BYTES: usize = MAX_SHOWN_BYTES + 3 * 16 * 1024;

/// How long to wait for the end of a child's standard error. Its descendants may keep the stream open indefinitely.
const STDERR_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The end of a child's standard error, of which up to 16 KiB are shown. Clones share the buffer.
///
/// # Examples
/// ```
/// use valetkey_mcp::Redactor;
/// use valetkey_mcp::child::ChildProcess;
///
/// /// Returns why a child ended, for an error message.
/// async fn stderr_clause(child: &ChildProcess, redactor: &Redactor) -> String {
///     child.stderr().wait_drained().await;
///     child.stderr().last_lines(redactor, 5)
/// }
/// ```
#[derive(Clone, Default)]
pub struct StderrTail(Arc<TailBuffer>);

#[derive(Default)]
struct TailBuffer {
    buffer: Mutex<VecDeque<u8>>,
    ended: CancellationToken,
}

impl StderrTail {
    /// Reads until the stream ends, so that the child never blocks on a full pipe.
    pub(super) async fn drain(self, mut stream: impl AsyncRead + Unpin) {
        let _ended = self.0.ended.clone().drop_guard();
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            let mut buffer = self.0.buffer.lock();
            buffer.extend(&chunk[..read]);
            let excess = buffer.len().saturating_sub(MAX_KEPT_BYTES);
            buffer.drain(..excess);
        }
    }

    /// Waits until the child's standard error has ended, for at most half a second.
    ///
    /// # Cancel safety
    /// This method is cancel safe: it changes no state.
    pub async fn wait_drained(&self) {
        // After the timeout, the text received until then is shown.
        let _said = timeout(STDERR_DRAIN_TIMEOUT, self.0.ended.cancelled()).await;
    }

    /// Returns the last `lines` lines, with the secrets that `redactor` knows masked and control characters
    /// [escaped](escape_control_chars).
    ///
    /// The text has at most 16 KiB and a few bytes. A secret that begins before the shown part is masked too.
    #[must_use]
    pub fn last_lines(&self, redactor: &Redactor, lines: usize) -> String {
        let buffer: Vec<u8> = self.0.buffer.lock().iter().copied().collect();
        let text = String::from_utf8_lossy(&buffer);
        let text = redactor.mask_tail(&text, text.len().saturating_sub(MAX_SHOWN_BYTES));
        let all: Vec<&str> = text.lines().collect();
        let last: Vec<_> =
            all[all.len().saturating_sub(lines)..].iter().map(|line| escape_control_chars(line)).collect();
        let shown = last.join("\n");
        // Escaping may exceed the limit again. 16 more bytes keep a mask at the beginning whole.
        shown[shown.ceil_char_boundary(shown.len().saturating_sub(MAX_SHOWN_BYTES + 16))..].to_owned()
    }
}

impl std::fmt::Debug for StderrTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StderrTail").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use valetkey_core::Expiry;
    use valetkey_core::testing::Canary;

    async fn drained_tail(said: &str) -> StderrTail {
        let tail = StderrTail::default();
        tail.clone().drain(said.as_bytes()).await;
        tail
    }

    #[tokio::test]
    async fn stderr_tail_secret_cut_at_a_limit_is_fully_masked() {
        let (redactor, canary) = (Redactor::default(), Canary::new());
        redactor.add(&canary.credentials(Expiry::Never).unwrap());
        let secret = canary.expose_secret();
        for begins in [MAX_SHOWN_BYTES, MAX_KEPT_BYTES] {
            for cut in 0..=secret.len() {
                let said = format!("{secret}{}", "y".repeat(begins - cut));
                let shown = drained_tail(&said).await.last_lines(&redactor, 5);
                assert!(
                    shown.trim_start_matches("[redacted]").bytes().all(|byte| byte == b'y'),
                    "{begins} {cut}"
                );
                assert!(shown.len() <= MAX_SHOWN_BYTES + 10);
            }
        }
    }

    #[tokio::test]
    async fn stderr_tail_overlong_line_keeps_last_lines() {
        let redactor = Redactor::default();
        assert_eq!(drained_tail("a\nb\nc\n").await.last_lines(&redactor, 2), "b\nc");
        let said = format!("{}\nthe end", "é".repeat(2 * MAX_KEPT_BYTES));
        assert!(drained_tail(&said).await.last_lines(&redactor, 2).ends_with("é\nthe end"));
    }

    #[tokio::test]
    async fn stderr_tail_control_characters_are_escaped_within_limit() {
        let redactor = Redactor::default();
        let shown = drained_tail("\x1b]0;title\x07\rover\u{202e}\r\nnext\n").await.last_lines(&redactor, 2);
        assert_eq!(shown, "\\u{1b}]0;title\\u{7}\\u{d}over\\u{202e}\nnext");
        let shown = drained_tail(&"\x1b".repeat(2 * MAX_SHOWN_BYTES)).await.last_lines(&redactor, 1);
        assert!(shown.len() <= MAX_SHOWN_BYTES + 16 && shown.ends_with("\\u{1b}"), "{} bytes", shown.len());
    }
}
