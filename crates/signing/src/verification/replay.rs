//! `ReplayWindow`: the requests that a placeholder has sent, for as long as their date is accepted.
//!
//! A signature has the date to the second, so two equal requests within one second have the same signature:
//!
//! | client | when a signature that was used before is accepted |
//! |---|---|
//! | signs an id of the request, as the SDKs for Java, JavaScript, Go and Rust do | never; it signs no two requests alike |
//! | sends an id unsigned, as botocore does | with another id, while its date is at most [`REPEAT_SPAN`] off |
//! | sends no id, as `curl` and many clients for S3 do | for `GET` and `HEAD`, while its date is at most [`REPEAT_SPAN`] off |
//! | any | if the service has not carried out the request: [`forget`](ReplayWindow::forget) |
//!
//! A captured request can thus be repeated for two seconds, if it only reads, or by a program that changes the id. Clients
//! that sign a request once and send it until it succeeds, such as `object_store`, can do so when a service is overloaded.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use http::Method;
use http::request::Parts;
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
    /// Whether the request only reads.
    is_safe: bool,
    signed_at: SystemTime,
}

impl RequestIdentity {
    pub(crate) fn new(signature: &str, parts: &Parts, signed_at: SystemTime) -> Self {
        let attempt = single(&parts.headers, "amz-sdk-request").unwrap_or_default();
        let id = single(&parts.headers, "amz-sdk-invocation-id");
        let request = id.map(|id| digest(&[signature, id, attempt]));
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD);
        Self { signature: digest(&[signature]), request, is_safe, signed_at }
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
        let is_new_request = identity.request.map_or(identity.is_safe, |request| self.insert(request));
        if is_repeat && !(is_new_request && off <= REPEAT_SPAN) {
            return Err(throttled("this signature was used before; sign the request again"));
        }
        Ok(())
    }

    /// Forgets a request that the service has not carried out, so that the client may send it again as it is.
    pub(crate) fn forget(&mut self, identity: &RequestIdentity) {
        for entry in [Some(identity.signature), identity.request].into_iter().flatten() {
            self.current.remove(&entry);
            self.previous.remove(&entry);
        }
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
    use http::Request;

    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn identity(method: Method, signature: &str, id: Option<&str>) -> RequestIdentity {
        let mut request = Request::builder().method(method);
        if let Some(id) = id {
            request = request.header("amz-sdk-invocation-id", id);
        }
        RequestIdentity::new(signature, &request.body(()).unwrap().into_parts().0, START)
    }

    #[test]
    fn record_used_signature_is_refused_while_date_is_valid() {
        let mut window = ReplayWindow::default();
        let request = identity(Method::POST, "ab", None);
        for seconds in 0..=SPAN.as_secs() {
            let now = START + Duration::from_secs(seconds);
            assert_eq!(window.record(&request, now).is_ok(), seconds == 0);
        }
        assert!(window.record(&identity(Method::POST, "cd", None), START + SPAN).is_ok());
        assert!(window.record(&request, START + 2 * SPAN).is_err(), "in the previous span");
        assert!(window.record(&request, START + 4 * SPAN + Duration::from_secs(9)).is_ok());
    }

    #[test]
    fn record_equal_requests_of_one_second_differ_by_id() {
        let mut window = ReplayWindow::default();
        let mut is_accepted = |id: &str, seconds: u64| {
            let request = identity(Method::GET, "ab", Some(id));
            window.record(&request, START + Duration::from_secs(seconds)).is_ok()
        };
        assert!(is_accepted("1", 0) && is_accepted("2", 0) && is_accepted("3", 2));
        assert!(!is_accepted("1", 0) && !is_accepted("3", 2), "the same request");
        assert!(!is_accepted("4", 3), "too late for another request with this signature");
    }

    #[test]
    fn record_equal_reads_without_id_are_accepted_for_two_seconds() {
        let mut window = ReplayWindow::default();
        for method in [Method::GET, Method::HEAD] {
            let request = identity(method.clone(), method.as_str(), None);
            let mut accepted =
                |seconds| window.record(&request, START + Duration::from_secs(seconds)).is_ok();
            assert_eq!([0, 0, 2, 3].map(&mut accepted), [true, true, true, false]);
        }
    }

    #[test]
    fn record_forgotten_request_is_accepted_again() {
        let mut window = ReplayWindow::default();
        for request in [identity(Method::PUT, "ab", None), identity(Method::PUT, "cd", Some("1"))] {
            let later = START + Duration::from_secs(60);
            assert!(window.record(&request, START).is_ok() && window.record(&request, later).is_err());
            window.forget(&request);
            assert!(window.record(&request, later).is_ok() && window.record(&request, later).is_err());
        }
    }
}
