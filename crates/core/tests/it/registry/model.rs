//! A registry under arbitrary operations, against a plain model of what is open and who may find it.

use proptest::prelude::*;
use valetkey_core::ErrorKind;

use super::*;

const NAMES: [&str; 3] = ["ana", "ben", "cora"];
const IDLE_SECONDS: u64 = 100;
const LIFETIME_SECONDS: u64 = 600;
/// The longest time between two sweeps, since the idle time is longer.
const SWEEP_SECONDS: u64 = 30;
const PER_PRINCIPAL: usize = 3;
const CAPACITY: usize = 6;

#[derive(Debug, Clone)]
enum Operation {
    Open {
        by: usize,
        hold: bool,
    },
    Find {
        by: usize,
        nth: usize,
        hold: bool,
    },
    Release {
        nth: usize,
    },
    /// A call closes its session, and ends.
    CloseItself {
        nth: usize,
    },
    Close {
        by: usize,
        nth: usize,
    },
    CloseAll {
        by: usize,
    },
    Sweep,
    Advance {
        seconds: u64,
    },
    JumpBack {
        seconds: u64,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let (by, nth) = (0..NAMES.len(), any::<prop::sample::Index>().prop_map(|index| index.index(1000)));
    prop_oneof![
        6 => (by.clone(), any::<bool>()).prop_map(|(by, hold)| Operation::Open { by, hold }),
        8 => (by.clone(), nth.clone(), any::<bool>()).prop_map(|(by, nth, hold)| Operation::Find { by, nth, hold }),
        5 => nth.clone().prop_map(|nth| Operation::Release { nth }),
        1 => nth.clone().prop_map(|nth| Operation::CloseItself { nth }),
        1 => (by.clone(), nth).prop_map(|(by, nth)| Operation::Close { by, nth }),
        1 => by.prop_map(|by| Operation::CloseAll { by }),
        2 => Just(Operation::Sweep),
        5 => (1..=IDLE_SECONDS + 20).prop_map(|seconds| Operation::Advance { seconds }),
        1 => (1..10_000_u64).prop_map(|seconds| Operation::JumpBack { seconds }),
    ]
}

/// A session, and what the model knows of it.
struct Subject {
    handle: SessionHandle,
    owner: usize,
    session: SessionContext,
    held: Vec<SessionGuard>,
    opened: u64,
    last_used: u64,
    gone: bool,
}

impl Subject {
    fn is_over(&self, now: u64) -> bool {
        now >= self.opened + LIFETIME_SECONDS
            || (self.held.is_empty() && now >= self.last_used + IDLE_SECONDS)
    }

    fn may_leave(&self, now: u64) -> bool {
        self.held.is_empty() && self.is_over(now)
    }
}

struct World {
    gateway: Gateway,
    /// Seconds, which never go back.
    now: u64,
    swept_at: Option<u64>,
    subjects: Vec<Subject>,
}

impl World {
    fn new() -> Self {
        let gateway = Gateway::with(|registry| {
            registry
                .idle_ttl(Duration::from_secs(IDLE_SECONDS))
                .max_lifetime(Duration::from_secs(LIFETIME_SECONDS))
                .max_sessions_per_principal(PER_PRINCIPAL)
                .max_sessions(CAPACITY)
        });
        Self { gateway, now: 0, swept_at: None, subjects: Vec::new() }
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Open { by, hold } => self.open(by, hold),
            Operation::Find { by, nth, hold } => self.find(by, nth, hold),
            Operation::Release { nth } => self.release(nth, false),
            Operation::CloseItself { nth } => self.release(nth, true),
            Operation::Close { by, nth } => self.close(by, nth),
            Operation::CloseAll { by } => {
                let closed = self.gateway.registry.close_all(&principal(NAMES[by]));
                assert_eq!(closed, self.leave(|subject| subject.owner == by));
            }
            Operation::Sweep => {
                let swept = self.gateway.registry.sweep();
                assert_eq!(swept, self.sweep());
            }
            Operation::Advance { seconds } => {
                self.gateway.clock.advance(Duration::from_secs(seconds));
                self.now += seconds;
                self.look_at_the_clock();
            }
            Operation::JumpBack { seconds } => {
                self.gateway.clock.rewind(Duration::from_secs(seconds));
                self.look_at_the_clock();
            }
        }
    }

    /// The registry knows of time what it sees of it.
    fn look_at_the_clock(&self) {
        assert!(!self.gateway.is_found("nobody", &"0".repeat(32).parse().unwrap()));
    }

    fn open(&mut self, by: usize, hold: bool) {
        let room = self.make_room(by);
        let opened = self.gateway.try_open(NAMES[by]);
        assert_eq!(opened.is_ok(), room);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Throttled),
        };
        self.subjects.push(Subject {
            handle: opened.handle(),
            owner: by,
            session: opened.clone(),
            held: if hold { vec![opened] } else { Vec::new() },
            opened: self.now,
            last_used: self.now,
            gone: false,
        });
    }

    fn find(&mut self, by: usize, nth: usize, hold: bool) {
        let now = self.now;
        let Some(subject) = nth_of(&mut self.subjects, nth, |_| true) else { return };
        let there = subject.owner == by && !subject.gone;
        match self.gateway.find(NAMES[by], &subject.handle) {
            Ok(found) => {
                assert!(
                    there && !subject.is_over(now),
                    "no session of another principal, and none that is gone or over, is found"
                );
                assert_eq!((found.id(), found.handle()), (subject.session.id(), subject.handle));
                if hold {
                    subject.held.push(found);
                } else {
                    subject.last_used = now;
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                assert!(!there || subject.is_over(now), "what is open is found");
                subject.gone |= there && subject.may_leave(now);
            }
        }
    }

    fn release(&mut self, nth: usize, close: bool) {
        let now = self.now;
        let in_use = |subject: &Subject| !subject.held.is_empty() && (!close || subject.held.len() == 1);
        let Some(subject) = nth_of(&mut self.subjects, nth, in_use) else { return };
        let held = subject.held.pop().unwrap();
        if close {
            held.close();
        }
        drop(held);
        subject.last_used = now;
        subject.gone |= close || subject.may_leave(now);
    }

    fn close(&mut self, by: usize, nth: usize) {
        let Some(subject) = nth_of(&mut self.subjects, nth, |_| true) else { return };
        let there = subject.owner == by && !subject.gone;
        assert_eq!(self.gateway.registry.close(&principal(NAMES[by]), &subject.handle).is_some(), there);
        subject.gone |= there;
    }

    fn make_room(&mut self, by: usize) -> bool {
        if self.swept_at.is_none_or(|at| self.now - at >= SWEEP_SECONDS) {
            self.sweep();
        }
        if self.present(|subject| subject.owner == by) >= PER_PRINCIPAL && !self.displace(by) {
            return false;
        }
        if self.present(|_| true) >= CAPACITY {
            self.sweep();
        }
        self.present(|_| true) < CAPACITY || self.displace(by)
    }

    fn displace(&mut self, by: usize) -> bool {
        let now = self.now;
        if self.leave(|subject| subject.owner == by && subject.may_leave(now)) > 0 {
            return true;
        }
        let idle = |subject: &&mut Subject| subject.owner == by && !subject.gone && subject.held.is_empty();
        let oldest =
            self.subjects.iter_mut().filter(idle).min_by_key(|subject| (subject.last_used, subject.handle));
        oldest.map(|oldest| oldest.gone = true).is_some()
    }

    fn sweep(&mut self) -> usize {
        let now = self.now;
        self.swept_at = Some(now);
        self.leave(|subject| subject.may_leave(now))
    }

    fn leave(&mut self, who: impl Fn(&Subject) -> bool) -> usize {
        let leaving = self.subjects.iter_mut().filter(|subject| !subject.gone && who(subject));
        leaving.map(|subject| subject.gone = true).count()
    }

    fn present(&self, who: impl Fn(&Subject) -> bool) -> usize {
        self.subjects.iter().filter(|subject| !subject.gone && who(subject)).count()
    }

    fn check(&self) {
        for (index, subject) in self.subjects.iter().enumerate() {
            assert_eq!(subject.session.is_closed(), subject.gone, "session {index}");
        }
        assert_eq!(self.gateway.registry.len(), self.present(|_| true));
        assert!(self.present(|_| true) <= CAPACITY);
        for by in 0..NAMES.len() {
            assert!(self.present(|subject| subject.owner == by) <= PER_PRINCIPAL);
        }
    }
}

/// One of those that are as wanted.
fn nth_of(subjects: &mut [Subject], nth: usize, wanted: impl Fn(&Subject) -> bool) -> Option<&mut Subject> {
    let count = subjects.iter().filter(|subject| wanted(subject)).count();
    // Late ones matter more: early ones are mostly gone.
    subjects.iter_mut().rev().filter(|subject| wanted(subject)).nth(nth.checked_rem(count.min(8))?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn registry_random_operations_match_model(
        operations in prop::collection::vec(operation(), 1..150)
    ) {
        let mut world = World::new();
        for operation in &operations {
            world.apply(operation);
            world.check();
        }
        let World { gateway, subjects, .. } = world;
        drop(gateway);
        prop_assert!(subjects.iter().all(|subject| subject.session.is_closed()), "all end with the registry");
    }
}
