//! `InFlight`: tracks requests without a response, and matches responses that have lost their id to them.

use std::collections::HashSet;

use rmcp::model::RequestId;

/// Tracks the requests in flight.
///
/// A response without an id belongs to one of the requests that were in flight when it arrived. Each of them that gets
/// another response later is ruled out; the one that remains is lost. So a call fails as soon as no other response can
/// arrive for it, and no other call fails.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    requests: HashSet<RequestId>,
    /// Oldest first.
    unnamed: Vec<Unnamed>,
}

/// A response without an id.
#[derive(Debug)]
struct Unnamed {
    /// The requests that this may be the response to.
    candidates: HashSet<RequestId>,
    reason: String,
}

/// A request whose response cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lost {
    pub(super) id: RequestId,
    pub(super) reason: String,
}

impl InFlight {
    /// Adds a request. It is no candidate for a response without an id that arrived before it was sent.
    pub(super) fn begin(&mut self, id: RequestId) {
        self.requests.insert(id);
    }

    /// Removes a cancelled request, which expects no response. It stays a candidate for a response without an id that
    /// arrived earlier.
    pub(super) fn cancel(&mut self, id: &RequestId) {
        self.requests.remove(id);
    }

    pub(super) fn contains(&self, id: &RequestId) -> bool {
        self.requests.contains(id)
    }

    /// Removes a request that has its response, and returns the requests that are thereby known to be lost.
    pub(super) fn answer(&mut self, id: &RequestId) -> Vec<Lost> {
        self.requests.remove(id);
        self.unnamed.iter_mut().for_each(|unnamed| {
            unnamed.candidates.remove(id);
        });
        self.settle()
    }

    /// Adds a response without an id, and returns the requests that are thereby known to be lost.
    pub(super) fn answer_unnamed(&mut self, reason: String) -> Vec<Lost> {
        self.unnamed.push(Unnamed { candidates: self.requests.clone(), reason });
        self.settle()
    }

    /// Resolves the oldest responses that have no more candidates than they are: all of these candidates are lost.
    fn settle(&mut self) -> Vec<Lost> {
        let (mut candidates, mut settled) = (HashSet::new(), 0);
        for (unnamed, count) in self.unnamed.iter().zip(1..) {
            candidates.extend(&unnamed.candidates);
            if candidates.len() <= count {
                settled = count;
            }
        }
        let settled: Vec<_> = self.unnamed.drain(..settled).collect();
        let mut lost = Vec::new();
        for Unnamed { candidates, reason } in settled {
            for id in candidates {
                self.unnamed.iter_mut().for_each(|later| {
                    later.candidates.remove(&id);
                });
                if self.requests.remove(&id) {
                    lost.push(Lost { id, reason: reason.clone() });
                }
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_flight<const N: usize>(ids: [i64; N]) -> InFlight {
        let mut in_flight = InFlight::default();
        ids.into_iter().for_each(|id| in_flight.begin(RequestId::Number(id)));
        in_flight
    }

    fn ids(lost: Vec<Lost>) -> Vec<i64> {
        let number = |lost: Lost| match lost.id {
            RequestId::Number(id) => id,
            RequestId::String(_) => panic!("{lost:?}"),
        };
        let mut ids: Vec<_> = lost.into_iter().map(number).collect();
        ids.sort_unstable();
        ids
    }

    fn answer(in_flight: &mut InFlight, id: i64) -> Vec<i64> {
        ids(in_flight.answer(&RequestId::Number(id)))
    }

    fn unnamed(in_flight: &mut InFlight) -> Vec<i64> {
        ids(in_flight.answer_unnamed("is not valid".to_owned()))
    }

    #[test]
    fn unnamed_response_single_request_fails() {
        let mut one = in_flight([1]);
        let lost = Lost { id: RequestId::Number(1), reason: "is not valid".to_owned() };
        assert_eq!(one.answer_unnamed("is not valid".to_owned()), [lost]);
        assert!(!one.contains(&RequestId::Number(1)));
        assert_eq!(unnamed(&mut one), [0; 0], "nothing is in flight");
        one.begin(RequestId::Number(2));
        assert_eq!(answer(&mut one, 2), [0; 0], "a later request is none of its business");
    }

    #[test]
    fn unnamed_response_remaining_request_fails() {
        let mut three = in_flight([1, 2, 3]);
        assert_eq!(unnamed(&mut three), [0; 0]);
        three.begin(RequestId::Number(4));
        assert_eq!(answer(&mut three, 2), [0; 0]);
        assert_eq!(answer(&mut three, 3), [1]);
        assert!(three.contains(&RequestId::Number(4)));
        assert_eq!(answer(&mut three, 4), [0; 0]);
    }

    #[test]
    fn unnamed_responses_each_fail_one_request() {
        let mut two = in_flight([1, 2]);
        assert_eq!(unnamed(&mut two), [0; 0]);
        two.begin(RequestId::Number(3));
        assert_eq!(unnamed(&mut two), [0; 0]);
        assert_eq!(unnamed(&mut two), [1, 2, 3]);

        let mut two = in_flight([1, 2]);
        assert_eq!(unnamed(&mut two), [0; 0]);
        two.begin(RequestId::Number(3));
        assert_eq!(unnamed(&mut two), [0; 0]);
        assert_eq!(answer(&mut two, 3), [1, 2]);
    }

    #[test]
    fn cancelled_request_after_unnamed_response_stays_suspect() {
        let mut two = in_flight([1, 2]);
        assert_eq!(unnamed(&mut two), [0; 0]);
        two.cancel(&RequestId::Number(1));
        assert!(two.contains(&RequestId::Number(2)), "the response may be that of 1");
        assert_eq!(answer(&mut two, 2), [0; 0], "it was");

        let mut two = in_flight([1, 2]);
        two.cancel(&RequestId::Number(1));
        assert_eq!(unnamed(&mut two), [2], "1 was taken back before");
    }
}
