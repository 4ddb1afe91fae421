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
struct ModelSession {
    handle: SessionHandle,
    owner: usize,
    session: SessionContext,
    held: Vec<SessionGuard>,
    opened: u64,
    last_used: u64,
    gone: bool,
}

impl ModelSession {
    fn is_over(&self, now: u64) -> bool {
        now >= self.opened + LIFETIME_SECONDS
            || (self.held.is_empty() && now >= self.last_used + IDLE_SECONDS)
    }

    fn may_leave(&self, now: u64) -> bool {
        self.held.is_empty() && self.is_over(now)
    }
}

struct RegistryModelFixture {
    fixture: RegistryFixture,
    /// Seconds, which never go back.
    now: u64,
    swept_at: Option<u64>,
    sessions: Vec<ModelSession>,
}

impl RegistryModelFixture {
    fn new() -> Self {
        let fixture = RegistryFixture::with(|registry| {
            registry
                .idle_ttl(Duration::from_secs(IDLE_SECONDS))
                .max_lifetime(Duration::from_secs(LIFETIME_SECONDS))
                .max_sessions_per_principal(PER_PRINCIPAL)
                .max_sessions(CAPACITY)
        });
        Self { fixture, now: 0, swept_at: None, sessions: Vec::new() }
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Open { by, hold } => self.open(by, hold),
            Operation::Find { by, nth, hold } => self.find(by, nth, hold),
            Operation::Release { nth } => self.release(nth, false),
            Operation::CloseItself { nth } => self.release(nth, true),
            Operation::Close { by, nth } => self.close(by, nth),
            Operation::CloseAll { by } => {
                let closed = self.fixture.registry.close_all(&principal(NAMES[by]));
                assert_eq!(closed, self.leave(|session| session.owner == by));
            }
            Operation::Sweep => {
                let swept = self.fixture.registry.sweep();
                assert_eq!(swept, self.sweep());
            }
            Operation::Advance { seconds } => {
                self.fixture.clock.advance(Duration::from_secs(seconds));
                self.now += seconds;
                self.look_at_the_clock();
            }
            Operation::JumpBack { seconds } => {
                self.fixture.clock.rewind(Duration::from_secs(seconds));
                self.look_at_the_clock();
            }
        }
    }

    /// The registry knows of time what it sees of it.
    fn look_at_the_clock(&self) {
        assert!(!self.fixture.is_found("mallory", &"0".repeat(32).parse().unwrap()));
    }

    fn open(&mut self, by: usize, hold: bool) {
        let room = self.make_room(by);
        let opened = self.fixture.try_open(NAMES[by]);
        assert_eq!(opened.is_ok(), room);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Throttled),
        };
        self.sessions.push(ModelSession {
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
        let Some(session) = nth_of(&mut self.sessions, nth, |_| true) else { return };
        let there = session.owner == by && !session.gone;
        match self.fixture.find(NAMES[by], &session.handle) {
            Ok(found) => {
                assert!(
                    there && !session.is_over(now),
                    "no session of another principal, and none that is gone or over, is found"
                );
                assert_eq!((found.id(), found.handle()), (session.session.id(), session.handle));
                if hold {
                    session.held.push(found);
                } else {
                    session.last_used = now;
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                assert!(!there || session.is_over(now), "what is open is found");
                session.gone |= there && session.may_leave(now);
            }
        }
    }

    fn release(&mut self, nth: usize, close: bool) {
        let now = self.now;
        let in_use = |session: &ModelSession| !session.held.is_empty() && (!close || session.held.len() == 1);
        let Some(session) = nth_of(&mut self.sessions, nth, in_use) else { return };
        let held = session.held.pop().unwrap();
        if close {
            held.close();
        }
        drop(held);
        session.last_used = now;
        session.gone |= close || session.may_leave(now);
    }

    fn close(&mut self, by: usize, nth: usize) {
        let Some(session) = nth_of(&mut self.sessions, nth, |_| true) else { return };
        let there = session.owner == by && !session.gone;
        assert_eq!(self.fixture.registry.close(&principal(NAMES[by]), &session.handle).is_some(), there);
        session.gone |= there;
    }

    fn make_room(&mut self, by: usize) -> bool {
        if self.swept_at.is_none_or(|at| self.now - at >= SWEEP_SECONDS) {
            self.sweep();
        }
        if self.present(|session| session.owner == by) >= PER_PRINCIPAL && !self.displace(by) {
            return false;
        }
        if self.present(|_| true) >= CAPACITY {
            self.sweep();
        }
        self.present(|_| true) < CAPACITY || self.displace(by)
    }

    fn displace(&mut self, by: usize) -> bool {
        let now = self.now;
        if self.leave(|session| session.owner == by && session.may_leave(now)) > 0 {
            return true;
        }
        let idle =
            |session: &&mut ModelSession| session.owner == by && !session.gone && session.held.is_empty();
        let oldest =
            self.sessions.iter_mut().filter(idle).min_by_key(|session| (session.last_used, session.handle));
        oldest.map(|oldest| oldest.gone = true).is_some()
    }

    fn sweep(&mut self) -> usize {
        let now = self.now;
        self.swept_at = Some(now);
        self.leave(|session| session.may_leave(now))
    }

    fn leave(&mut self, who: impl Fn(&ModelSession) -> bool) -> usize {
        let leaving = self.sessions.iter_mut().filter(|session| !session.gone && who(session));
        leaving.map(|session| session.gone = true).count()
    }

    fn present(&self, who: impl Fn(&ModelSession) -> bool) -> usize {
        self.sessions.iter().filter(|session| !session.gone && who(session)).count()
    }

    fn check(&self) {
        for (index, session) in self.sessions.iter().enumerate() {
            assert_eq!(session.session.is_closed(), session.gone, "session {index}");
        }
        assert_eq!(self.fixture.registry.len(), self.present(|_| true));
        assert!(self.present(|_| true) <= CAPACITY);
        for by in 0..NAMES.len() {
            assert!(self.present(|session| session.owner == by) <= PER_PRINCIPAL);
        }
    }
}

/// One of those that are as wanted.
fn nth_of(
    sessions: &mut [ModelSession],
    nth: usize,
    wanted: impl Fn(&ModelSession) -> bool,
) -> Option<&mut ModelSession> {
    let count = sessions.iter().filter(|session| wanted(session)).count();
    // Late ones matter more: early ones are mostly gone.
    sessions.iter_mut().rev().filter(|session| wanted(session)).nth(nth.checked_rem(count.min(8))?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn registry_random_operations_match_model(
        operations in prop::collection::vec(operation(), 1..150)
    ) {
        let mut fixture = RegistryModelFixture::new();
        for operation in &operations {
            fixture.apply(operation);
            fixture.check();
        }
        let RegistryModelFixture { fixture, sessions, .. } = fixture;
        drop(fixture);
        prop_assert!(sessions.iter().all(|session| session.session.is_closed()), "all end with the registry");
    }
}
