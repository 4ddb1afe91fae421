//! `ReplayWindow`: the signatures that a placeholder has used, for as long as their date is accepted.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::MAX_CLOCK_SKEW;
use crate::refusal::{Refusal, RefusalKind};

/// Limit on the signatures of one span. At the limit, requests are throttled: none is forgotten while it could be
/// replayed.
const MAX_SIGNATURES: usize = 1_000_000;
/// A signature is accepted for at most this long: its date may be ahead of the clock, and then behind it.
const SPAN: Duration = Duration::from_secs(2 * MAX_CLOCK_SKEW.as_secs());

/// Two spans of signatures: an entry stays for at least [`SPAN`] and at most twice as long.
#[derive(Debug, Default)]
pub(crate) struct ReplayWindow {
    current: HashSet<u128>,
    previous: HashSet<u128>,
    started_at: Option<SystemTime>,
}

impl ReplayWindow {
    /// Records a verified signature, or refuses it if it was used before.
    ///
    /// Two equal requests within one second have the same signature unless they have an id, which SDKs send. SDKs sign
    /// again when they repeat a request, so the refusal is one that they repeat.
    pub(crate) fn record(&mut self, signature: &str, now: SystemTime) -> Result<(), Refusal> {
        self.advance(now);
        // The signature is a digest: half of it is enough to tell signatures apart.
        let prefix = signature.get(..32).and_then(|prefix| u128::from_str_radix(prefix, 16).ok());
        let prefix = prefix.ok_or_else(|| Refusal::signature("the signature is not hexadecimal"))?;
        if self.current.len() >= MAX_SIGNATURES {
            return Err(throttled("too many requests within ten minutes; send fewer"));
        }
        if self.previous.contains(&prefix) || !self.current.insert(prefix) {
            return Err(throttled("this signature was used before; sign the request again"));
        }
        Ok(())
    }

    /// A clock that jumped back does not end a span.
    fn advance(&mut self, now: SystemTime) {
        let started_at = *self.started_at.get_or_insert(now);
        if now.duration_since(started_at).is_ok_and(|age| age > SPAN) {
            self.previous = std::mem::take(&mut self.current);
            self.started_at = Some(now);
        }
    }
}

fn throttled(message: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Throttled, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_used_signature_is_refused_while_date_is_valid() {
        let (mut window, start) = (ReplayWindow::default(), SystemTime::UNIX_EPOCH + SPAN);
        let signature = "ab".repeat(32);
        for seconds in 0..=SPAN.as_secs() {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(window.record(&signature, now).is_ok(), seconds == 0);
        }
        assert!(window.record(&"cd".repeat(32), start + SPAN).is_ok());
        assert!(window.record(&signature, start + 2 * SPAN).is_err(), "in the previous span");
        assert!(window.record(&signature, start + 4 * SPAN + Duration::from_secs(9)).is_ok());
    }
}
