//! `Lanes`: one set behind several reference counts, so that threads that clone it do not fight over one cache line.

use std::array;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::Credentials;

/// More lanes, less contention, more memory: a lane is 176 bytes. The secrets are shared.
const LANES: u8 = 4;
/// How often other threads read a set before it gets lanes: most sets are read too seldom to be worth the memory.
const PATIENCE: u8 = 100;
/// Stacks are at least this far apart: the size that `std` and tokio give them.
const STACK_SIZE_LOG2: u32 = 21;

pub(super) struct Lanes {
    own: Credentials,
    home: u8,
    visits: AtomicU8,
    others: OnceLock<Box<[Credentials; LANES as usize]>>,
}

impl Lanes {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { own: credentials, home: lane(), visits: AtomicU8::new(0), others: OnceLock::new() }
    }

    /// The set, counted where few other threads count.
    #[inline]
    pub(super) fn here(&self) -> &Credentials {
        let lane = lane();
        if lane == self.home {
            return &self.own;
        }
        match self.others.get() {
            Some(others) => &others[usize::from(lane)],
            None => self.away_from_home(lane),
        }
    }

    #[cold]
    fn away_from_home(&self, lane: u8) -> &Credentials {
        if self.visits.load(Ordering::Relaxed) < PATIENCE {
            self.visits.fetch_add(1, Ordering::Relaxed);
            return &self.own;
        }
        &self.others.get_or_init(|| Box::new(array::from_fn(|_| self.own.counted_apart())))[usize::from(lane)]
    }
}

/// Tells threads apart by where their stacks are: without a thread-local, and nearly free. Any answer is right.
#[inline]
fn lane() -> u8 {
    let here = 0_u8;
    ((&raw const here).addr() >> STACK_SIZE_LOG2) as u8 % LANES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> Lanes {
        let id = "AKIA0000000000000000".parse().unwrap();
        Lanes::new(Credentials::builder(id, "lanes".into()).build().unwrap())
    }

    #[test]
    fn neighbouring_threads_use_different_lanes() {
        let barrier = std::sync::Barrier::new(LANES.into());
        let mut seen: Vec<_> = std::thread::scope(|scope| {
            let here = || {
                // All stacks are there at once.
                barrier.wait();
                lane()
            };
            let threads: Vec<_> = (0..LANES).map(|_| scope.spawn(here)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 1, "all on lane {seen:?}");
    }

    #[test]
    fn a_set_that_is_read_at_home_or_seldom_gets_no_lanes() {
        let lanes = lanes();
        for _ in 0..1000 {
            let _set = lanes.here();
        }
        for _ in 0..PATIENCE {
            let _set = lanes.away_from_home(0);
        }
        assert!(lanes.others.get().is_none());
    }

    #[test]
    fn every_lane_holds_the_same_set_behind_another_count() {
        let lanes = lanes();
        for _ in 0..=PATIENCE {
            let _set = lanes.away_from_home(0);
        }
        let sets: Vec<_> = (0..LANES).map(|lane| lanes.away_from_home(lane)).collect();
        assert!(sets.iter().all(|set| set.expose_secret_access_key() == "lanes"));
        assert!(sets.iter().all(|set| !set.is_counted_with(&lanes.own)));
    }
}
