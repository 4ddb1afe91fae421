//! The interpreter: a session, its upstream and its clock, on which steps are played.

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

use super::{Before, Edge, Given, Seen, Set, Step, Told, Upstream, When, nanos};
use crate::bench::{builder, cause, number, numbered, poll_once};

const MINUTE: Duration = Duration::from_secs(60);

/// Longer than a warmer sleeps.
const A_WHILE: Duration = Duration::from_secs(31);

pub(super) struct Stage {
    clock: ManualClock,
    source: Source,
    session: SessionContext,
    warmer: Option<JoinHandle<()>>,
    life: Option<Duration>,
    issued_at: SystemTime,
    advisory_at: SystemTime,
}

impl Stage {
    pub(super) async fn set(given: &Given) -> Self {
        let clock = ManualClock::new();
        let issued_at = clock.now();
        let source = Source::new(&clock, given);
        let session = builder(&clock).provider(source.clone()).refresh_policy(given.policy.clone()).build();
        if !matches!(given.set, Set::Nothing) {
            assert_eq!(number(&session.credentials().await.unwrap()), 1);
        }
        let life = match given.set {
            Set::Lasting(life) => Some(life),
            Set::Nothing | Set::Unending => None,
        };
        let warmer = given.kept_warm.then(|| tokio::spawn(session.keep_warm()));
        let mut stage = Self { clock, source, session, warmer, life, issued_at, advisory_at: issued_at };
        stage.advisory_at = stage.find_advisory();
        stage
    }

    pub(super) async fn act(&self, step: &Step) -> Seen {
        self.turn_to(self.instant(step.when));
        self.source.behave(step.upstream);
        let before = self.source.calls();
        let account = self.session.default_account();
        let mut refresh: Waiting<'_, _> = Box::pin(self.session.refresh(account));
        match step.before {
            Before::Nothing => {}
            Before::Rejected => {
                let served = self.session.served().unwrap();
                self.session.report_rejected(account, served.credentials.access_key_id());
            }
            Before::Refresh => assert!(poll_once(&mut refresh).await.is_none()),
        }
        let (at_once, waiting) = self.ask(step.herd).await;
        let waited = waiting.len();
        self.source.gate.send_replace(true);
        let after_waiting = join_all(waiting).await;
        if step.before == Before::Refresh {
            let _generation = refresh.await;
        }
        if self.warmer.is_some() {
            tokio::time::sleep(A_WHILE).await;
        }
        self.source.gate.send_replace(false);
        Seen {
            calls: self.source.calls() - before,
            waited,
            at_once: unanimous(at_once),
            after_waiting: unanimous(after_waiting),
        }
    }

    /// Who is answered at once, and who waits.
    async fn ask(&self, herd: usize) -> (Vec<Result<Credentials>>, Vec<Waiting<'_, Result<Credentials>>>) {
        let (mut at_once, mut waiting) = (Vec::new(), Vec::new());
        for _ in 0..herd {
            let mut caller: Waiting<'_, _> = Box::pin(self.session.credentials());
            match poll_once(&mut caller).await {
                Some(answer) => at_once.push(answer),
                None => waiting.push(caller),
            }
        }
        (at_once, waiting)
    }

    fn instant(&self, When(edge, offset): When) -> SystemTime {
        let expiry = || self.issued_at + self.life.expect("a set that expires");
        let edge = match edge {
            Edge::Issue => self.issued_at,
            Edge::Advisory => self.advisory_at,
            Edge::Mandatory => expiry() - self.life.map_or(MINUTE, |life| MINUTE.min(life / 4)),
            Edge::Expiry => expiry(),
            Edge::Attempt => self.source.play().asked_at.expect("upstream was asked"),
            Edge::Now => self.clock.now(),
        };
        let by = Duration::from_nanos(offset.unsigned_abs());
        if offset < 0 { edge - by } else { edge + by }
    }

    fn turn_to(&self, instant: SystemTime) {
        match instant.duration_since(self.clock.now()) {
            Ok(by) => self.clock.advance(by),
            Err(back) => self.clock.jump_back(back.duration()),
        }
    }

    /// The first nanosecond at which set 1 is no longer fresh.
    fn find_advisory(&self) -> SystemTime {
        let ahead = self.life.map_or(24 * 3_600_000_000_000, |life| nanos(life) - 1);
        let (mut fresh, mut stale) = (-1, ahead);
        while stale - fresh > 1 {
            let middle = (fresh + stale) / 2;
            self.turn_to(self.instant(When(Edge::Issue, middle)));
            match self.session.status().accounts[0].freshness {
                Some(Freshness::Fresh) => fresh = middle,
                _ => stale = middle,
            }
        }
        self.turn_to(self.issued_at);
        self.instant(When(Edge::Issue, stale))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(warmer) = &self.warmer {
            warmer.abort();
        }
    }
}

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What all of them were told; they must have been told the same.
fn unanimous(answers: Vec<Result<Credentials>>) -> Option<Told> {
    let told: Vec<_> = answers.iter().map(told).collect();
    assert!(told.windows(2).all(|two| two[0] == two[1]), "not all were told the same: {told:?}");
    told.first().copied()
}

fn told(answer: &Result<Credentials>) -> Told {
    match answer {
        Ok(credentials) => Told::Set(number(credentials)),
        Err(error) => match cause(error) {
            Some(cause) if error.kind() == ErrorKind::Expired => Told::Expired(cause),
            _ => Told::Error(error.kind()),
        },
    }
}

/// Upstream. It answers once the gate is open.
#[derive(Debug, Clone)]
struct Source {
    gate: watch::Sender<bool>,
    play: Arc<Mutex<Play>>,
}

#[derive(Debug)]
struct Play {
    clock: ManualClock,
    life: Option<Duration>,
    max_age: Option<Duration>,
    upstream: Upstream,
    asked_at: Option<SystemTime>,
    calls: usize,
    issued: u64,
}

impl Source {
    fn new(clock: &ManualClock, given: &Given) -> Self {
        let life = match given.set {
            Set::Nothing => Some(Duration::from_secs(3600)),
            Set::Lasting(life) => Some(life),
            Set::Unending => None,
        };
        let play = Play {
            clock: clock.clone(),
            life,
            max_age: given.max_age,
            upstream: Upstream::Issues,
            asked_at: None,
            calls: 0,
            issued: 0,
        };
        let open = !matches!(given.set, Set::Nothing);
        Self { gate: watch::Sender::new(open), play: Arc::new(Mutex::new(play)) }
    }

    fn behave(&self, upstream: Upstream) {
        self.gate.send_replace(false);
        self.play().upstream = upstream;
    }

    fn calls(&self) -> usize {
        self.play().calls
    }

    fn play(&self) -> std::sync::MutexGuard<'_, Play> {
        self.play.lock().unwrap()
    }
}

impl Play {
    fn issue(&mut self, life: Option<Duration>) -> Credentials {
        let now = self.clock.now();
        let expired = life == Some(Duration::ZERO);
        let n = if expired { 0 } else { self.issued + 1 };
        self.issued = self.issued.max(n);
        let set = numbered(n, Expiry::from(life.map(|life| now + life)));
        match self.max_age {
            Some(age) => aging(&set, age),
            None => set,
        }
    }
}

/// The same set, whose source would be asked again after `age`.
fn aging(set: &Credentials, age: Duration) -> Credentials {
    let secret = set.expose_secret_access_key().to_owned().into();
    Credentials::builder(set.access_key_id().clone(), secret)
        .expiry(set.expiry())
        .max_age(age)
        .build()
        .unwrap()
}

#[async_trait]
impl CredentialProvider for Source {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("upstream")
    }

    async fn provide(&self) -> Result<Credentials> {
        let upstream = {
            let mut play = self.play();
            play.calls += 1;
            play.asked_at = Some(play.clock.now());
            play.upstream
        };
        self.gate.subscribe().wait_for(|open| *open).await.unwrap();
        match upstream {
            Upstream::Issues => {
                let mut play = self.play();
                let life = play.life;
                Ok(play.issue(life))
            }
            Upstream::IssuesFor(life) => Ok(self.play().issue(Some(life))),
            Upstream::Fails(kind) => Err(Error::new(kind, "upstream fails")),
            Upstream::Panics => panic!("upstream panics"),
            Upstream::Hangs => std::future::pending().await,
        }
    }
}
