//! `ReplayWindow`: the requests that a placeholder has sent, for as long as their date is accepted.
//!
//! A signature has the date to the second. SDKs that sign an id of the request never use a signature twice. botocore sends
//! the id unsigned, so two equal requests within one second have the same signature: the second is accepted if its id
//! differs and its date is at most [`REPEAT_SPAN`] off. A captured request can thus be repeated for two seconds, by a
//! program that reads the traffic and changes the id; after that, each signature is accepted once.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::{MAX_CLOCK_SKEW, single};
use crate::refusal::{Refusal, RefusalKind};

/// Limit on the entries of one span, two for each request. At the limit, requests are throttled: none is forgotten while
/// it could be replayed.
const MAX_ENTRIES: usize = 2_000_000;
/// A signature is accepted for at most this long: its date may be ahead of the clock, and then behind it.
const SPAN: Duration = Duration::from_secs(2 * MAX_CLOCK_SKEW.as_secs());
/// How far the date may be off for a signature that was used by another request.
const REPEAT_SPAN: Duration = Duration::from_secs(2);

/// Two spans of requests: an entry stays for at least [`SPAN`] and at most twice as long.
#[derive(Debug, Default)]
pub(crate) struct ReplayWindow {
    current: HashSet<[u8; 16]>,
    previous: HashSet<[u8; 16]>,
    started_at: Option<SystemTime>,
}

/// What distinguishes a request with a verified signature from others.
pub(crate) struct RequestIdentity {
    signature: [u8; 16],
    /// The signature with the id and the attempt that SDKs send, if they do.
    request: Option<[u8; 16]>,
    signed_at: SystemTime,
}

impl RequestIdentity {
    pub(crate) fn new(signature: &str, headers: &HeaderMap, signed_at: SystemTime) -> Self {
        let attempt = single(headers, "amz-sdk-request").unwrap_or_default();
        let request = single(headers, "amz-sdk-invocation-id").map(|id| digest(&[signature, id, attempt]));
        Self { signature: digest(&[signature]), request, signed_at }
    }
}

impl ReplayWindow {
    /// Records a request whose signature was verified, or refuses it if it was sent before.
    ///
    /// SDKs sign again when they repeat a request, so the refusal is one that they repeat.
    pub(crate) fn record(&mut self, identity: &RequestIdentity, now: SystemTime) -> Result<(), Refusal> {
        self.advance(now);
        if self.current.len() >= MAX_ENTRIES {
            return Err(throttled("too many requests within ten minutes; send fewer"));
        }
        let is_repeat = !self.insert(identity.signature);
        let off = now.duration_since(identity.signed_at).unwrap_or_else(|ahead| ahead.duration());
        let is_new_request = identity.request.is_some_and(|request| self.insert(request));
        if is_repeat && !(is_new_request && off <= REPEAT_SPAN) {
            return Err(throttled("this signature was used before; sign the request again"));
        }
        Ok(())
    }

    /// Returns whether the entry is new.
    fn insert(&mut self, entry: [u8; 16]) -> bool {
        !self.previous.contains(&entry) && self.current.insert(entry)
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

/// Half of a SHA-256 digest is enough to tell requests apart.
fn digest(texts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text);
        hash.update([0]);
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

fn throttled(message: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Throttled, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn identity(signature: &str, id: Option<&str>) -> RequestIdentity {
        let mut headers = HeaderMap::new();
        if let Some(id) = id {
            headers.insert("amz-sdk-invocation-id", id.parse().unwrap());
        }
        RequestIdentity::new(signature, &headers, START)
    }

    #[test]
    fn record_used_signature_is_refused_while_date_is_valid() {
        let mut window = ReplayWindow::default();
        let request = identity("ab", None);
        for seconds in 0..=SPAN.as_secs() {
            let now = START + Duration::from_secs(seconds);
            assert_eq!(window.record(&request, now).is_ok(), seconds == 0);
        }
        assert!(window.record(&identity("cd", None), START + SPAN).is_ok());
        assert!(window.record(&request, START + 2 * SPAN).is_err(), "in the previous span");
        assert!(window.record(&request, START + 4 * SPAN + Duration::from_secs(9)).is_ok());
    }

    #[test]
    fn record_equal_requests_of_one_second_differ_by_id() {
        let mut window = ReplayWindow::default();
        let mut is_accepted = |id: &str, seconds: u64| {
            window.record(&identity("ab", Some(id)), START + Duration::from_secs(seconds)).is_ok()
        };
        assert!(is_accepted("1", 0) && is_accepted("2", 0) && is_accepted("3", 2));
        assert!(!is_accepted("1", 0) && !is_accepted("3", 2), "the same request");
        assert!(!is_accepted("4", 3), "too late for another request with this signature");
    }
}
