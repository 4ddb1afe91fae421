//! `Sts`: which calls STS accepts, by its quota and during an outage.

use crate::scenario::Outage;
use crate::{Millis, SECOND};

/// The response to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// Credentials were issued.
    Issued,
    /// The quota of this second is used up.
    Throttled,
    /// Nothing arrives until the caller's timeout.
    None,
}

/// STS of one account in one Region: a quota that is refilled each second.
#[derive(Debug)]
pub struct Sts {
    quota: u32,
    outages: Vec<Outage>,
    second: Millis,
    used: u32,
}

impl Sts {
    /// An STS that issues at most `quota` credentials in a second, and none during an outage.
    #[must_use]
    pub fn new(quota: u32, outages: Vec<Outage>) -> Self {
        Self { quota, outages, second: 0, used: 0 }
    }

    /// Responds to a request at `now`, which is never earlier than at the call before.
    pub fn respond(&mut self, now: Millis) -> Response {
        if self.outages.iter().any(|outage| outage.contains(now)) {
            return Response::None;
        }
        if now / SECOND != self.second {
            self.second = now / SECOND;
            self.used = 0;
        }
        if self.used == self.quota {
            return Response::Throttled;
        }
        self.used += 1;
        Response::Issued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sts_quota_is_refilled_each_second() {
        let mut sts = Sts::new(2, vec![]);
        let responses = [10, 20, 999, 1_000].map(|now| sts.respond(now));
        assert_eq!(responses, [Response::Issued, Response::Issued, Response::Throttled, Response::Issued]);
    }

    #[test]
    fn sts_in_an_outage_does_not_respond() {
        let mut sts = Sts::new(2, vec![Outage { from: 5, until: 10 }]);
        let responses = [4, 5, 9, 10].map(|now| sts.respond(now));
        assert_eq!(responses, [Response::Issued, Response::None, Response::None, Response::Issued]);
    }
}
