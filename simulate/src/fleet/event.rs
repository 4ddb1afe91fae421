//! `EventQueue`: what happens next, and to which session or node.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::{Millis, SECOND};

/// Events are ordered by time, and then so that each run has the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) at: Millis,
    /// The number of a session, or of a node for `Pace`.
    pub(super) subject: u32,
    /// The cycle of the session for which the event was scheduled.
    pub(super) cycle: u16,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A caller uses the session.
    Use,
    /// The credentials are to be replaced in the background.
    Due,
    /// This attempt of a fetch reaches STS, counted from 0.
    Request(u8),
    /// New credentials arrive.
    Issued,
    /// A fetch has failed.
    Failed,
    /// A node may start another refresh.
    Pace,
    /// A node ends.
    NodeLost,
}

/// The scheduled events. Those of a later second are not sorted until it begins: a million waiting events then cost no more
/// than a few.
#[derive(Debug)]
pub(super) struct EventQueue {
    current: BinaryHeap<Reverse<Event>>,
    second: usize,
    later: Vec<Vec<Event>>,
}

impl EventQueue {
    /// Holds events before `until`; later ones are dropped.
    pub(super) fn new(until: Millis) -> Self {
        Self { current: BinaryHeap::new(), second: 0, later: vec![Vec::new(); second(until) + 1] }
    }

    pub(super) fn push(&mut self, event: Event) {
        if second(event.at) <= self.second {
            self.current.push(Reverse(event));
        } else if let Some(events) = self.later.get_mut(second(event.at)) {
            events.push(event);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        while self.current.is_empty() && self.second + 1 < self.later.len() {
            self.second += 1;
            let events = std::mem::take(&mut self.later[self.second]);
            self.current.extend(events.into_iter().map(Reverse));
        }
        self.current.pop().map(|Reverse(event)| event)
    }
}

fn second(at: Millis) -> usize {
    usize::try_from(at / SECOND).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_queue_pops_in_order_of_time() {
        let mut queue = EventQueue::new(10 * SECOND);
        let event = |at| Event { at, subject: 0, cycle: 0, kind: Kind::Use };
        for at in [9_000, 10, 9_001, 2_500, 60_000] {
            queue.push(event(at));
        }
        assert_eq!(queue.pop(), Some(event(10)));
        queue.push(event(11));
        queue.push(event(2_400));
        let rest: Vec<Millis> = std::iter::from_fn(|| queue.pop()).map(|event| event.at).collect();
        assert_eq!(rest, [11, 2_400, 2_500, 9_000, 9_001], "the last is after the end");
    }
}
