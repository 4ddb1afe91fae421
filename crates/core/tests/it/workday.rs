//! A working day over one-hour roles, one assumed with the other, in virtual time: what it costs upstream, and that
//! that no caller ever gets expired credentials.
//!
//! How many calls a role may cost: credentials last 60 min and are replaced when their advisory window opens, 15 min
//! before their expiry, or 16.5 min with a tenth of jitter. So two fetches are never less than 43.5 min apart, and 8 h
//! take at most ⌈480 / 43.5⌉ = 12 of them: the eight that the lifetime alone requires, and four for the early refreshes.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use valetkey_core::testing::VirtualClock;
use valetkey_core::{
    AccountName, Clock, CredentialProvider, Credentials, Error, ErrorKind, Expiry, Result, SessionAccount,
    SessionContext,
};

use crate::session_fixture::*;

const WORKDAY: Duration = Duration::from_secs(8 * 3600);
const LIFETIME: Duration = HOUR;
const MAX_ADVISORY_WINDOW: Duration = Duration::from_secs(15 * 60 * 11 / 10);
const AGENTS: u64 = 6;
/// What a call to upstream takes.
const CALL_LATENCY: Duration = Duration::from_millis(300);

/// ⌈8 h / (life − widest window)⌉.
fn max_fetches() -> usize {
    WORKDAY.as_secs().div_ceil((LIFETIME - MAX_ADVISORY_WINDOW).as_secs()).try_into().unwrap()
}

/// Issues credentials that last an hour, except during its outages.
#[derive(Debug)]
struct UpstreamFixture {
    clock: VirtualClock,
    /// From when, since the day began, and for how long.
    outages: Vec<(Duration, Duration)>,
}

impl UpstreamFixture {
    fn is_down(&self) -> bool {
        let now = self.clock.elapsed();
        self.outages.iter().any(|(from, long)| (*from..*from + *long).contains(&now))
    }
}

/// One role, and whether each call for it succeeded.
#[derive(Debug, Clone)]
struct RoleProvider {
    sts: Arc<UpstreamFixture>,
    source: Option<SessionAccount>,
    results: Arc<Mutex<Vec<bool>>>,
}

impl RoleProvider {
    fn new(sts: &Arc<UpstreamFixture>, source: Option<SessionAccount>) -> Self {
        Self { sts: Arc::clone(sts), source, results: Arc::default() }
    }

    fn success_count(&self) -> usize {
        self.count_results(true)
    }

    fn failure_count(&self) -> usize {
        self.count_results(false)
    }

    fn count_results(&self, answered: bool) -> usize {
        self.results.lock().unwrap().iter().filter(|one| **one == answered).count()
    }
}

#[async_trait]
impl CredentialProvider for RoleProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("role")
    }

    async fn provide(&self) -> Result<Credentials> {
        if let Some(source) = &self.source {
            let signer = source.credentials().await?;
            assert!(!signer.expiry().has_passed(self.sts.clock.now()), "nothing signs that has expired");
        }
        sleep(CALL_LATENCY).await;
        let up = !self.sts.is_down();
        self.results.lock().unwrap().push(up);
        if up {
            let expires_at = self.sts.clock.now() + LIFETIME;
            Ok(numbered(self.success_count() as u64, Expiry::At(expires_at)))
        } else {
            Err(Error::new(ErrorKind::Unavailable, "down"))
        }
    }
}

/// A session with an account and a role that is assumed with it.
struct WorkdayFixture {
    clock: VirtualClock,
    session: SessionContext,
    hub: RoleProvider,
    role: RoleProvider,
    served_count: AtomicUsize,
    waited_count: AtomicUsize,
}

fn role() -> AccountName {
    "role".parse().unwrap()
}

impl WorkdayFixture {
    fn new(outages: Vec<(Duration, Duration)>) -> Self {
        let clock = VirtualClock::new();
        let sts = Arc::new(UpstreamFixture { clock, outages });
        let hub = RoleProvider::new(&sts, None);
        let session = SessionContext::builder().clock(Arc::new(clock)).provider(hub.clone()).build();
        let source = session.account(session.default_account()).unwrap();
        let role = RoleProvider::new(&sts, Some(source));
        session.for_account(&self::role()).set_provider(role.clone()).unwrap();
        Self {
            clock,
            session,
            hub,
            role,
            served_count: AtomicUsize::new(0),
            waited_count: AtomicUsize::new(0),
        }
    }

    /// Agents that ask at irregular times until the day is over.
    async fn run(&self, seed: u64) {
        self.fetch(&role()).await;
        self.waited_count.store(0, Ordering::SeqCst);
        join_all((0..AGENTS).map(|agent| self.run_agent(seed * AGENTS + agent))).await;
    }

    async fn run_agent(&self, seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (hub, role) = (self.session.default_account().clone(), role());
        loop {
            sleep(Duration::from_millis(rng.u64(1..180_000))).await;
            if self.clock.elapsed() >= WORKDAY {
                return;
            }
            self.fetch(if rng.u8(0..4) == 0 { &hub } else { &role }).await;
        }
    }

    async fn fetch(&self, account: &AccountName) {
        let asked = Instant::now();
        let credentials =
            self.session.for_account(account).credentials().await.expect("an outage reaches no caller");
        assert!(!credentials.expiry().has_passed(self.clock.now()), "expired credentials are never served");
        self.served_count.fetch_add(1, Ordering::SeqCst);
        if asked.elapsed() > Duration::ZERO {
            self.waited_count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Each role cost no more than it may, and the agents did work.
    fn assert_fetch_counts(&self, failures: RangeInclusive<usize>) {
        for role in [&self.hub, &self.role] {
            assert!((8..=max_fetches()).contains(&role.success_count()), "{} fetches", role.success_count());
            assert!(failures.contains(&role.failure_count()), "{} failures", role.failure_count());
        }
        assert!(self.served_count.load(Ordering::SeqCst) > 1_000);
    }

    fn waited_count(&self) -> usize {
        self.waited_count.load(Ordering::SeqCst)
    }
}

/// Three outages of this length. The first lasts while the first credentials are to be replaced, 43.5 to 45 min after
/// they were issued; the others come at some time of the day, so far apart that no window meets two of them.
fn random_outages(seed: u64, duration: Duration) -> Vec<(Duration, Duration)> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let sometime = |third: u32, rng: &mut fastrand::Rng| WORKDAY * third / 3 + SECOND * rng.u32(60..7_000);
    [43 * MINUTE, sometime(1, &mut rng), sometime(2, &mut rng)].map(|from| (from, duration)).into()
}

#[test]
fn fetch_limit_for_8_hours_is_12() {
    assert_eq!(max_fetches(), 8 + 4);
}

#[tokio::test(start_paused = true)]
async fn workday_on_demand_stays_within_fetch_limit() {
    for seed in 0..8 {
        let day = WorkdayFixture::new(Vec::new());
        day.run(seed).await;
        day.assert_fetch_counts(0..=0);
        let refreshes = day.hub.success_count() + day.role.success_count();
        assert!(
            day.waited_count() <= refreshes,
            "only the refreshing caller waits: {} waited",
            day.waited_count()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn workday_keep_warm_never_waits() {
    for seed in 0..8 {
        let day = WorkdayFixture::new(Vec::new());
        let warmer = tokio::spawn(day.session.keep_warm());
        day.run(seed).await;
        warmer.abort();
        day.assert_fetch_counts(0..=0);
        assert_eq!(day.waited_count(), 0);
    }
}

/// Ten minutes, with a hold of five at least: three attempts fail at most. The last minute is 14 min from the window's
/// opening, when every outage that made an attempt fail is over.
#[tokio::test(start_paused = true)]
async fn workday_on_demand_outages_fail_once_per_backoff() {
    for seed in 0..8 {
        let day = WorkdayFixture::new(random_outages(seed, 10 * MINUTE));
        day.run(seed).await;
        day.assert_fetch_counts(1..=3 * 3);
    }
}

/// Three minutes: the first hold outlasts each, and ends before the last minute does.
#[tokio::test(start_paused = true)]
async fn workday_keep_warm_outages_fail_once_each() {
    for seed in 0..12 {
        let day = WorkdayFixture::new(random_outages(seed, 3 * MINUTE));
        let warmer = tokio::spawn(day.session.keep_warm());
        day.run(seed).await;
        warmer.abort();
        day.assert_fetch_counts(1..=3);
        assert_eq!(day.waited_count(), 0);
    }
}
