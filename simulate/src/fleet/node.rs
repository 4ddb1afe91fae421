//! `Node`: the background refreshes of one node, and their limits.

use std::collections::BTreeSet;

use crate::rules::{CONCURRENT_REFRESHES, REFRESHES_PER_SECOND};
use crate::{Millis, SECOND};

/// The time between two starts.
const PACE: Millis = SECOND / REFRESHES_PER_SECOND;

#[derive(Debug, Default)]
pub(super) struct Node {
    /// The sessions that are due, those that expire first in front.
    ready: BTreeSet<(Millis, u32)>,
    in_flight: u32,
    next_start: Millis,
    /// Whether the node is to be called at `next_start`.
    is_paced: bool,
}

/// What a node does next.
pub(super) enum Start {
    /// Refresh this session now.
    Refresh(u32),
    /// Try again at this time.
    Later(Millis),
    /// Wait until a refresh ends or a session is due.
    Nothing,
}

impl Node {
    pub(super) fn push(&mut self, expires_at: Millis, session: u32) {
        self.ready.insert((expires_at, session));
    }

    pub(super) fn remove(&mut self, expires_at: Millis, session: u32) {
        self.ready.remove(&(expires_at, session));
    }

    pub(super) fn end_refresh(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Returns the session to refresh at `now`, and counts it, or when the next may start.
    pub(super) fn start_next(&mut self, now: Millis) -> Start {
        if self.next_start <= now {
            self.is_paced = false;
        }
        if self.in_flight == CONCURRENT_REFRESHES || self.ready.is_empty() || self.is_paced {
            return Start::Nothing;
        }
        if now < self.next_start {
            self.is_paced = true;
            return Start::Later(self.next_start);
        }
        self.next_start = now + PACE;
        self.in_flight += 1;
        self.ready.pop_first().map_or(Start::Nothing, |(_, session)| Start::Refresh(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sessions that the node starts in `millis`, and when.
    fn starts(node: &mut Node, millis: Millis) -> Vec<(Millis, u32)> {
        let started = |now| match node.start_next(now) {
            Start::Refresh(session) => Some((now, session)),
            Start::Later(_) | Start::Nothing => None,
        };
        (0..millis).filter_map(started).collect()
    }

    #[test]
    fn node_starts_first_expiry_first_and_paces() {
        let mut node = Node::default();
        for (expires_at, session) in [(30, 3), (10, 1), (20, 2), (5, 4)] {
            node.push(expires_at, session);
        }
        node.remove(5, 4);
        assert_eq!(starts(&mut node, 100), [(0, 1), (PACE, 2), (2 * PACE, 3)]);
    }

    #[test]
    fn node_at_its_limit_waits_for_the_end_of_a_refresh() {
        let mut node = Node::default();
        (0..=CONCURRENT_REFRESHES).for_each(|session| node.push(session, session));
        let count = |starts: Vec<_>| u32::try_from(starts.len()).unwrap();
        assert_eq!(count(starts(&mut node, 10 * SECOND)), CONCURRENT_REFRESHES);
        node.end_refresh();
        assert!(matches!(node.start_next(10 * SECOND), Start::Refresh(CONCURRENT_REFRESHES)));
    }
}
