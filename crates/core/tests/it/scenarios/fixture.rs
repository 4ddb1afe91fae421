//! The interpreter: a session, its upstream and its clock, on which steps are run.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use valetkey_core::testing::ManualClock;
use valetkey_core::{
    Clock, CredentialProvider, Credentials, Error, ErrorKind, Expiry, Freshness, Result, SessionContext,
};

use super::{
    CallResult, EdgeOffset, InitialCredentials, InitialState, Observation, Precondition, Step,
    UpstreamBehavior, WindowEdge, duration_nanos,
};
use crate::session_fixture::{builder, number, numbered, poll_once, source_kind};

const MINUTE: Duration = Duration::from_secs(60);

/// Longer than a warmer sleeps.
const LONGER_THAN_SLEEP: Duration = Duration::from_secs(31);

pub(super) struct ScenarioFixture {
    clock: ManualClock,
    upstream: UpstreamProvider,
    session: SessionContext,
    warmer: Option<JoinHandle<()>>,
    lifetime: Option<Duration>,
    issued_at: SystemTime,
    advisory_at: SystemTime,
}

impl ScenarioFixture {
    pub(super) async fn new(given: &InitialState) -> Self {
        let clock = ManualClock::new();
        let issued_at = clock.now();
        let source = UpstreamProvider::new(&clock, given);
        let session = builder(&clock).provider(source.clone()).refresh_policy(given.policy.clone()).build();
        if !matches!(given.credentials, InitialCredentials::Absent) {
            assert_eq!(number(&session.credentials().await.unwrap()), 1);
        }
        let life = match given.credentials {
            InitialCredentials::Expiring(life) => Some(life),
            InitialCredentials::Absent | InitialCredentials::Unexpiring => None,
        };
        let warmer = given.background_refresh.then(|| tokio::spawn(session.keep_warm()));
        let mut fixture = Self {
            clock,
            upstream: source,
            session,
            warmer,
            lifetime: life,
            issued_at,
            advisory_at: issued_at,
        };
        fixture.advisory_at = fixture.find_advisory_start();
        fixture
    }

    pub(super) async fn run_step(&self, step: &Step) -> Observation {
        self.set_time(self.resolve_instant(step.when));
        self.upstream.set_behavior(step.upstream);
        let before = self.upstream.call_count();
        let mut refresh: BoxedCall<'_, _> = Box::pin(self.session.refresh());
        match step.precondition {
            Precondition::Nothing => {}
            Precondition::Rejected => {
                let served = self.session.current().unwrap();
                self.session.mark_rejected(served.credentials.access_key_id());
            }
            Precondition::Refresh => assert!(poll_once(&mut refresh).await.is_none()),
        }
        let (at_once, waiting) = self.call_concurrently(step.callers).await;
        let waited = waiting.len();
        self.upstream.open.send_replace(true);
        let after_waiting = join_all(waiting).await;
        if step.precondition == Precondition::Refresh {
            let _generation = refresh.await;
        }
        if self.warmer.is_some() {
            tokio::time::sleep(LONGER_THAN_SLEEP).await;
        }
        self.upstream.open.send_replace(false);
        Observation {
            calls: self.upstream.call_count() - before,
            waited,
            immediate: common_result(at_once),
            awaited: common_result(after_waiting),
        }
    }

    /// The results that are returned at once, and the calls that wait.
    async fn call_concurrently(
        &self,
        herd: usize,
    ) -> (Vec<Result<Credentials>>, Vec<BoxedCall<'_, Result<Credentials>>>) {
        let (mut at_once, mut waiting) = (Vec::new(), Vec::new());
        for _ in 0..herd {
            let mut caller: BoxedCall<'_, _> = Box::pin(self.session.credentials());
            match poll_once(&mut caller).await {
                Some(answer) => at_once.push(answer),
                None => waiting.push(caller),
            }
        }
        (at_once, waiting)
    }

    fn resolve_instant(&self, EdgeOffset(edge, offset): EdgeOffset) -> SystemTime {
        let expiry = || self.issued_at + self.lifetime.expect("the credentials expire");
        let edge = match edge {
            WindowEdge::Issued => self.issued_at,
            WindowEdge::Advisory => self.advisory_at,
            WindowEdge::Mandatory => expiry() - self.lifetime.map_or(MINUTE, |life| MINUTE.min(life / 4)),
            WindowEdge::Expiry => expiry(),
            WindowEdge::LastFetch => self.upstream.lock_state().last_fetch_at.expect("upstream was called"),
            WindowEdge::Now => self.clock.now(),
        };
        let by = Duration::from_nanos(offset.unsigned_abs());
        if offset < 0 { edge - by } else { edge + by }
    }

    fn set_time(&self, instant: SystemTime) {
        match instant.duration_since(self.clock.now()) {
            Ok(by) => self.clock.advance(by),
            Err(back) => self.clock.rewind(back.duration()),
        }
    }

    /// The first nanosecond at which credentials 1 are no longer fresh.
    fn find_advisory_start(&self) -> SystemTime {
        let ahead = self.lifetime.map_or(24 * 3_600_000_000_000, |life| duration_nanos(life) - 1);
        let (mut fresh, mut stale) = (-1, ahead);
        while stale - fresh > 1 {
            let middle = (fresh + stale) / 2;
            self.set_time(self.resolve_instant(EdgeOffset(WindowEdge::Issued, middle)));
            match self.session.status().accounts[0].freshness {
                Some(Freshness::Fresh) => fresh = middle,
                _ => stale = middle,
            }
        }
        self.set_time(self.issued_at);
        self.resolve_instant(EdgeOffset(WindowEdge::Issued, stale))
    }
}

impl Drop for ScenarioFixture {
    fn drop(&mut self) {
        if let Some(warmer) = &self.warmer {
            warmer.abort();
        }
    }
}

type BoxedCall<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The result of all these calls, which must be the same.
fn common_result(returned: Vec<Result<Credentials>>) -> Option<CallResult> {
    let results: Vec<_> = returned.iter().map(to_call_result).collect();
    assert!(results.windows(2).all(|two| two[0] == two[1]), "the results differ: {results:?}");
    results.first().copied()
}

fn to_call_result(answer: &Result<Credentials>) -> CallResult {
    match answer {
        Ok(credentials) => CallResult::Credentials(number(credentials)),
        Err(error) => match source_kind(error) {
            Some(cause) if error.kind() == ErrorKind::Expired => CallResult::Expired(cause),
            _ => CallResult::Error(error.kind()),
        },
    }
}

/// Upstream. It responds once the gate is open.
#[derive(Debug, Clone)]
struct UpstreamProvider {
    open: watch::Sender<bool>,
    state: Arc<Mutex<UpstreamState>>,
}

#[derive(Debug)]
struct UpstreamState {
    clock: ManualClock,
    lifetime: Option<Duration>,
    max_age: Option<Duration>,
    upstream: UpstreamBehavior,
    last_fetch_at: Option<SystemTime>,
    calls: usize,
    issued: u64,
}

impl UpstreamProvider {
    fn new(clock: &ManualClock, given: &InitialState) -> Self {
        let life = match given.credentials {
            InitialCredentials::Absent => Some(Duration::from_secs(3600)),
            InitialCredentials::Expiring(life) => Some(life),
            InitialCredentials::Unexpiring => None,
        };
        let play = UpstreamState {
            clock: clock.clone(),
            lifetime: life,
            max_age: given.max_age,
            upstream: UpstreamBehavior::Issues,
            last_fetch_at: None,
            calls: 0,
            issued: 0,
        };
        let open = !matches!(given.credentials, InitialCredentials::Absent);
        Self { open: watch::Sender::new(open), state: Arc::new(Mutex::new(play)) }
    }

    fn set_behavior(&self, upstream: UpstreamBehavior) {
        self.open.send_replace(false);
        self.lock_state().upstream = upstream;
    }

    fn call_count(&self) -> usize {
        self.lock_state().calls
    }

    fn lock_state(&self) -> std::sync::MutexGuard<'_, UpstreamState> {
        self.state.lock().unwrap()
    }
}

impl UpstreamState {
    fn issue(&mut self, life: Option<Duration>) -> Credentials {
        let now = self.clock.now();
        let expired = life == Some(Duration::ZERO);
        let n = if expired { 0 } else { self.issued + 1 };
        self.issued = self.issued.max(n);
        let set = numbered(n, Expiry::from(life.map(|life| now + life)));
        match self.max_age {
            Some(age) => with_max_age(&set, age),
            None => set,
        }
    }
}

/// The same credentials, except that they would be fetched again after `age`.
fn with_max_age(set: &Credentials, age: Duration) -> Credentials {
    let secret = set.expose_secret_access_key().to_owned().into();
    Credentials::builder(set.access_key_id().clone(), secret)
        .expiry(set.expiry())
        .max_age(age)
        .build()
        .unwrap()
}

#[async_trait]
impl CredentialProvider for UpstreamProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("upstream")
    }

    async fn provide(&self) -> Result<Credentials> {
        let upstream = {
            let mut play = self.lock_state();
            play.calls += 1;
            play.last_fetch_at = Some(play.clock.now());
            play.upstream
        };
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        match upstream {
            UpstreamBehavior::Issues => {
                let mut play = self.lock_state();
                let life = play.lifetime;
                Ok(play.issue(life))
            }
            UpstreamBehavior::IssuesFor(life) => Ok(self.lock_state().issue(Some(life))),
            UpstreamBehavior::Fails(kind) => Err(Error::new(kind, "upstream fails")),
            UpstreamBehavior::Panics => panic!("upstream panics"),
            UpstreamBehavior::Hangs => std::future::pending().await,
        }
    }
}
