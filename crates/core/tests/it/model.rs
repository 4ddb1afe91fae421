//! Many sessions under arbitrary operations, against a model of what each may serve.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::FutureExt;
use proptest::prelude::*;
use valetkey_core::testing::ManualClock;
use valetkey_core::{
    Clock, CredentialProvider, Credentials, Error, ErrorKind, Expiry, Result, SessionContext,
};

use crate::bench::{builder, number, numbered};

const SESSIONS: usize = 3;
/// Beyond this, no set is in any window: an hour, and the tenth that jitter adds.
const SURELY_FRESH: Duration = Duration::from_secs(66 * 60);

#[derive(Debug, Clone)]
enum Operation {
    Get,
    Set { minutes: u64 },
    Upstream(Upstream),
    Refresh,
    Reject,
    Clear,
    Close,
    Reopen,
    Advance { seconds: u64 },
    JumpBack { seconds: u64 },
}

/// How a session's provider behaves from now on.
#[derive(Debug, Clone, Copy)]
enum Upstream {
    Issues { minutes: u64 },
    IsDown,
    Refuses,
}

fn operation() -> impl Strategy<Value = (usize, Operation)> {
    let upstream = prop_oneof![
        4 => (1..200_u64).prop_map(|minutes| Upstream::Issues { minutes }),
        2 => Just(Upstream::IsDown),
        1 => Just(Upstream::Refuses),
    ];
    let operation = prop_oneof![
        8 => Just(Operation::Get),
        2 => (1..200_u64).prop_map(|minutes| Operation::Set { minutes }),
        3 => upstream.prop_map(Operation::Upstream),
        1 => Just(Operation::Refresh),
        1 => Just(Operation::Reject),
        1 => Just(Operation::Clear),
        1 => Just(Operation::Close),
        1 => Just(Operation::Reopen),
        3 => (1..7200_u64).prop_map(|seconds| Operation::Advance { seconds }),
        1 => (1..3600_u64).prop_map(|seconds| Operation::JumpBack { seconds }),
    ];
    (0..SESSIONS, operation)
}

/// A provider that numbers what it issues: the session in the thousands of millions, then a count.
#[derive(Debug, Clone)]
struct Source(Arc<SourceState>);

#[derive(Debug)]
struct SourceState {
    clock: ManualClock,
    behaviour: Mutex<Upstream>,
    calls: AtomicU64,
    numbers: Arc<AtomicU64>,
}

#[async_trait]
impl CredentialProvider for Source {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("source")
    }

    async fn provide(&self) -> Result<Credentials> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        match *self.0.behaviour.lock().unwrap() {
            Upstream::Issues { minutes } => {
                let expires_at = self.0.clock.now() + Duration::from_secs(60 * minutes);
                Ok(numbered(self.0.numbers.fetch_add(1, Ordering::SeqCst), Expiry::At(expires_at)))
            }
            Upstream::IsDown => Err(Error::new(ErrorKind::Unavailable, "down")),
            Upstream::Refuses => Err(Error::new(ErrorKind::Denied, "no")),
        }
    }
}

/// One session and what the model knows of it.
struct Subject {
    session: SessionContext,
    source: Source,
    closed: bool,
    /// Nothing that was numbered before this may be served: it was cleared, or belongs to somebody else.
    floor: u64,
    /// What was set last and not cleared since.
    set: Option<(u64, SystemTime)>,
    /// What was served last and not replaced since.
    served: Option<(u64, SystemTime)>,
    /// Seen expired or reported rejected: never again, whatever the clock says.
    dead: HashSet<u64>,
}

impl Subject {
    fn open(clock: &ManualClock, index: usize) -> Self {
        let base = (index as u64 + 1) * 1_000_000_000;
        let source = Source(Arc::new(SourceState {
            clock: clock.clone(),
            behaviour: Mutex::new(Upstream::Issues { minutes: 60 }),
            calls: AtomicU64::new(0),
            numbers: Arc::new(AtomicU64::new(base)),
        }));
        let session = builder(clock).provider(source.clone()).build();
        Self { session, source, closed: false, floor: base, set: None, served: None, dead: HashSet::new() }
    }

    fn next_number(&self) -> u64 {
        self.source.0.numbers.load(Ordering::SeqCst)
    }

    fn calls(&self) -> u64 {
        self.source.0.calls.load(Ordering::SeqCst)
    }

    /// What the session answers. Nothing here ever waits, so one poll is all it takes.
    fn answer(&self) -> Result<Credentials> {
        let answer = self.session.credentials().now_or_never();
        answer.expect("every provider here answers at once")
    }

    fn get(&mut self, now: SystemTime) {
        let (before, fresh) = (self.calls(), self.surely_fresh(now));
        let known = self.set.or(self.served);
        if let Some((n, expires_at)) = known
            && expires_at <= now
        {
            self.dead.insert(n);
        }
        let answer = self.answer();
        let asked = self.calls() - before;
        assert!(asked <= 1, "one caller asks at most once");
        assert!(!fresh || asked == 0, "what is surely fresh is not fetched again");
        match answer {
            Err(error) if self.closed => assert_eq!(error.kind(), ErrorKind::Closed),
            Err(_) => {
                assert!(!fresh, "what is surely fresh is served");
                // A refusal has withdrawn it: it is not fresh again when the clock jumps back.
                self.served = None;
            }
            Ok(credentials) => self.check(&credentials, now),
        }
    }

    fn check(&mut self, credentials: &Credentials, now: SystemTime) {
        let n = number(credentials);
        let expires_at = credentials.expiry().instant().unwrap();
        assert!(!self.closed, "a closed session serves nothing");
        assert!(n >= self.floor && n < self.floor_of_next(), "set {n} is not this session's to serve");
        assert!(expires_at > now, "nothing that has expired is served");
        assert!(!self.dead.contains(&n), "what was seen expired or rejected is not revived");
        if let Some((set, _)) = self.set {
            assert_eq!(n, set, "what was set wins");
        }
        self.served = Some((n, expires_at));
    }

    /// The first number of the next session.
    fn floor_of_next(&self) -> u64 {
        (self.floor / 1_000_000_000 + 1) * 1_000_000_000
    }

    fn surely_fresh(&self, now: SystemTime) -> bool {
        let current = self.set.or(self.served).filter(|(n, _)| !self.dead.contains(n));
        !self.closed
            && current.is_some_and(|(_, expires_at)| {
                expires_at.duration_since(now).is_ok_and(|left| left > SURELY_FRESH)
            })
    }

    fn forget(&mut self) {
        (self.set, self.served) = (None, None);
        self.floor = self.next_number();
    }

    fn apply(&mut self, operation: &Operation, clock: &ManualClock, index: usize) {
        match *operation {
            Operation::Get => self.get(clock.now()),
            Operation::Set { minutes } => {
                let n = self.source.0.numbers.fetch_add(1, Ordering::SeqCst);
                let expires_at = clock.now() + Duration::from_secs(60 * minutes);
                let set = self.session.set_credentials(numbered(n, Expiry::At(expires_at)));
                assert_eq!(set.is_err(), self.closed);
                if !self.closed {
                    (self.set, self.served, self.floor) = (Some((n, expires_at)), None, n);
                }
            }
            Operation::Upstream(behaviour) => *self.source.0.behaviour.lock().unwrap() = behaviour,
            Operation::Refresh => {
                let account = self.session.default_account().clone();
                // Whatever came of it, what was served before may have been replaced or withdrawn.
                let _outcome = self.session.refresh(&account).now_or_never().expect("answers at once");
                self.served = None;
            }
            Operation::Reject => {
                if let Some((n, _)) = self.set.or(self.served) {
                    let account = self.session.default_account().clone();
                    let id = numbered(n, Expiry::Never);
                    self.session.report_rejected(&account, id.access_key_id());
                    self.dead.insert(n);
                }
            }
            Operation::Clear => {
                self.session.clear();
                self.forget();
            }
            Operation::Close => {
                self.session.close();
                self.closed = true;
                self.forget();
            }
            Operation::Reopen => *self = Self::open(clock, index),
            Operation::Advance { seconds } => clock.advance(Duration::from_secs(seconds)),
            Operation::JumpBack { seconds } => clock.jump_back(Duration::from_secs(seconds)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_operations_makes_a_session_serve_what_it_may_not(
        operations in prop::collection::vec(operation(), 1..120)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        let clock = ManualClock::new();
        let mut subjects: Vec<_> = (0..SESSIONS).map(|index| Subject::open(&clock, index)).collect();
        for (index, operation) in &operations {
            subjects[*index].apply(operation, &clock, *index);
        }
        for subject in &mut subjects {
            subject.get(clock.now());
        }
    }
}
