//! Half an hour of outage that begins in each window: the results of callers, the number of requests to STS, and the time
//! to recovery.

use super::*;

const OUTAGE: Duration = Duration::from_secs(30 * 60);
/// The shortest and the longest pause between fetches while the credentials have time left, and near and after their end.
const LONG_BACKOFF: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(600));
const SHORT_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

const OUTAGE_FAULT: FaultMode = FaultMode::RespondsWithError(500, "InternalFailure");

/// What was seen between the beginning of an outage and the first new credentials after it.
struct OutageObservation {
    /// When each caller got its result, and whether it got credentials.
    responses: Vec<(Duration, bool)>,
    failed_fetches: Vec<FetchRecord>,
    requests: usize,
    /// From the end of the outage, or of the last fetch that failed in it, to the new credentials.
    recovery: Duration,
    /// When the credentials from before the outage expire.
    expiry: Duration,
}

impl OutageObservation {
    /// All callers were served until the credentials expired, and none after that.
    fn assert_served_until(&self, end: Duration) {
        for (at, served) in &self.responses {
            assert_eq!(*served, *at < end, "at {at:?}, with an end at {end:?}");
        }
    }

    /// Between one fetch and the next, at least this long.
    fn assert_min_pause(&self, least: Duration) {
        for two in self.failed_fetches.windows(2) {
            assert!(two[1].started_at - two[0].ended_at >= least, "{two:?}");
        }
    }

    /// At most this hold, the pause of one second between callers, and the duration of a fetch.
    fn assert_recovered_within(&self, hold: Duration) {
        assert!(self.recovery <= hold + 2 * SECOND, "{:?}", self.recovery);
    }

    fn fetch_count(&self) -> usize {
        self.failed_fetches.len()
    }

    /// Fetches during the outage and after it keep the pauses of this backoff.
    fn assert_backoff(&self, (shortest, longest): (Duration, Duration)) {
        self.assert_min_pause(shortest);
        self.assert_request_count();
        self.assert_recovered_within(longest);
    }

    /// Each fetch is at most as many requests as the SDK makes attempts.
    fn assert_request_count(&self) {
        assert!(
            (self.fetch_count()..=self.fetch_count() * SDK_ATTEMPTS).contains(&self.requests),
            "{} requests in {} fetches",
            self.requests,
            self.fetch_count()
        );
    }
}

/// A session with credentials, and an agent that fetches at this pace from `from` on, as the outage begins.
async fn run_outage(fixture: RoleSessionFixture, from: Duration, pace: Duration) -> OutageObservation {
    fixture.sleep_until(from).await;
    let (requests, loads) = (fixture.sts.request_count(), fixture.fetches().len());
    let first = fixture.session.current().map(|served| served.id);
    fixture.sts.set_fault(OUTAGE_FAULT);
    let over = from + OUTAGE;
    let mut responses = Vec::new();
    loop {
        if fixture.clock.elapsed() >= over {
            fixture.sts.clear_fault();
        }
        let result = fixture.fetch_checked().await;
        let served = fixture.session.current().map(|served| served.id);
        if served.is_some() && served != first {
            break;
        }
        responses.push((fixture.clock.elapsed(), result.is_ok()));
        let left = over.saturating_sub(fixture.clock.elapsed());
        sleep(if left.is_zero() { SECOND } else { pace.min(left) }).await;
    }
    let loads = fixture.fetches().split_off(loads);
    let failed: Vec<_> = loads.into_iter().filter(|load| !load.succeeded).collect();
    let recovery =
        fixture.clock.elapsed() - failed.iter().map(|load| load.ended_at).fold(over, Duration::max);
    // The last request is the one for the new credentials.
    let requests = fixture.sts.request_count() - requests - 1;
    OutageObservation { responses, failed_fetches: failed, requests, recovery, expiry: fixture.expiry }
}

/// Runs an outage that begins at a time which `from` derives from the expiry. Callers are served until the expiry.
async fn run_default_outage(
    lifetime: Duration,
    from: impl FnOnce(Duration) -> Duration,
    pace: Duration,
    backoff: (Duration, Duration),
) -> OutageObservation {
    let fixture = RoleSessionFixture::with_credentials(lifetime, RefreshPolicy::default()).await;
    let from = from(fixture.expiry);
    let seen = run_outage(fixture, from, pace).await;
    seen.assert_served_until(seen.expiry);
    seen.assert_backoff(backoff);
    seen
}

#[tokio::test(start_paused = true)]
async fn outage_while_fresh_causes_no_request() {
    let fixture = RoleSessionFixture::with_credentials(12 * HOUR, RefreshPolicy::default()).await;
    fixture.sleep_until(HOUR).await;
    fixture.sts.set_fault(OUTAGE_FAULT);
    for _ in 0..60 {
        fixture.fetch_checked().await.unwrap();
        sleep(OUTAGE / 60).await;
    }
    assert_eq!(fixture.sts.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn outage_from_fresh_into_advisory_window_serves_current() {
    let seen = run_default_outage(HOUR, |expiry| expiry - 42 * MINUTE, 20 * SECOND, LONG_BACKOFF).await;
    assert!((1..=2).contains(&seen.fetch_count()), "{} in 5 min of the window at most", seen.fetch_count());
}

#[tokio::test(start_paused = true)]
async fn outage_within_advisory_window_fetches_once_per_backoff() {
    let seen = run_default_outage(12 * HOUR, |expiry| expiry - 55 * MINUTE, 20 * SECOND, LONG_BACKOFF).await;
    // A hold of at least 300 s; of at most 600 s, and up to 20 s until the next caller.
    assert!((3..=6).contains(&seen.fetch_count()), "{} fetches", seen.fetch_count());
}

#[tokio::test(start_paused = true)]
async fn outage_from_advisory_window_fails_only_after_expiry() {
    let seen = run_default_outage(HOUR, |expiry| expiry - 14 * MINUTE, 50 * SECOND, SHORT_BACKOFF).await;
    let last_minute = seen.expiry - MINUTE;
    let early: Vec<_> = seen.failed_fetches.iter().filter(|load| load.started_at < last_minute).collect();
    assert!((2..=3).contains(&early.len()), "{early:?} before the last minute");
}

#[tokio::test(start_paused = true)]
async fn outage_from_mandatory_window_recovers_within_seconds() {
    run_default_outage(HOUR, |expiry| expiry - 50 * SECOND, 50 * SECOND, SHORT_BACKOFF).await;
}

#[tokio::test(start_paused = true)]
async fn outage_after_expiry_fails_and_recovers_within_seconds() {
    run_default_outage(HOUR, |expiry| expiry + MINUTE, 50 * SECOND, SHORT_BACKOFF).await;
}

#[tokio::test(start_paused = true)]
async fn outage_with_serve_expired_fetches_once_per_backoff() {
    for before_expiry in [14 * MINUTE, 50 * SECOND, Duration::ZERO] {
        let fixture =
            RoleSessionFixture::with_credentials(HOUR, RefreshPolicy::default().serve_expired()).await;
        let from = fixture.expiry - before_expiry;
        let seen = run_outage(fixture, from, 20 * SECOND).await;
        seen.assert_served_until(Duration::MAX);
        seen.assert_backoff(LONG_BACKOFF);
        assert!((3..=6).contains(&seen.fetch_count()), "{} fetches", seen.fetch_count());
    }
}

#[tokio::test(start_paused = true)]
async fn outage_busy_caller_gets_cached_error_between_fetches() {
    let fixture = RoleSessionFixture::with_credentials(HOUR, RefreshPolicy::default()).await;
    fixture.sleep_until(fixture.expiry).await;
    fixture.sts.set_fault(OUTAGE_FAULT);
    let before = fixture.fetches().len();
    let mut asked = 0;
    while fixture.clock.elapsed() < fixture.expiry + MINUTE {
        assert_eq!(fixture.fetch_checked().await.unwrap_err().kind(), ErrorKind::Expired);
        asked += 1;
        sleep(SECOND / 10).await;
    }
    let loads = fixture.fetches().split_off(before);
    assert!(loads.windows(2).all(|two| two[1].started_at - two[0].ended_at >= SHORT_BACKOFF.0), "{loads:?}");
    assert!(loads.len() >= 6 && asked > 2 * loads.len(), "{asked} asked, {} fetches", loads.len());
}

#[tokio::test(start_paused = true)]
async fn outage_refused_connections_fail_only_after_expiry() {
    let fixture = RoleSessionFixture::with_credentials(HOUR, RefreshPolicy::default()).await;
    fixture.sleep_until(fixture.expiry - 14 * MINUTE).await;
    fixture.sts.set_fault(FaultMode::RefusesConnections);
    while fixture.clock.elapsed() < fixture.expiry - SECOND {
        fixture.fetch_checked().await.unwrap();
        sleep(20 * SECOND).await;
    }
    fixture.sleep_until(fixture.expiry).await;
    let error = fixture.fetch_checked().await.unwrap_err();
    assert_eq!((error.kind(), cause_kind(&error)), (ErrorKind::Expired, Some(ErrorKind::Unavailable)));
    fixture.sts.clear_fault();
    sleep(SHORT_BACKOFF.1).await;
    fixture.fetch_checked().await.unwrap();
}
