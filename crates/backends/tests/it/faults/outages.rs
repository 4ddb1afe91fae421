//! Half an hour of outage, beginning in each window: who is served, how often STS is asked, how soon it is over.

use super::*;

const OUTAGE: Duration = Duration::from_secs(30 * 60);
/// The shortest and the longest pause between fetches while the set has time left, and near and after its end.
const LONG: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(600));
const SHORT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

const DOWN: Fault = Fault::Answers(500, "InternalFailure");

/// What was seen between the beginning of an outage and the first new set after it.
struct Seen {
    /// When each asker was answered, and whether with a set.
    answers: Vec<(Duration, bool)>,
    failed: Vec<Load>,
    requests: usize,
    /// From the end of the outage, or of the last fetch that failed in it, to the new set.
    recovery: Duration,
}

impl Seen {
    /// Everybody was served until the set ran out, and nobody after.
    fn served_until(&self, end: Duration) {
        for (at, served) in &self.answers {
            assert_eq!(*served, *at < end, "at {at:?}, with an end at {end:?}");
        }
    }

    /// Between one fetch and the next, at least this long.
    fn paused(&self, least: Duration) {
        for two in self.failed.windows(2) {
            assert!(two[1].from - two[0].to >= least, "{two:?}");
        }
    }

    /// After this hold at most, somebody asked, once a second, and the fetch took its moment.
    fn recovered_within(&self, hold: Duration) {
        assert!(self.recovery <= hold + 2 * SECOND, "{:?}", self.recovery);
    }

    fn fetches(&self) -> usize {
        self.failed.len()
    }

    /// Each fetch is at most as many requests as the SDK makes attempts.
    fn requests_follow(&self) {
        assert!(
            (self.fetches()..=self.fetches() * ATTEMPTS).contains(&self.requests),
            "{} requests in {} fetches",
            self.requests,
            self.fetches()
        );
    }
}

/// A session that holds a set, and an agent that asks at this pace from `from` on, as the outage begins.
async fn outage(stage: Stage, from: Duration, pace: Duration) -> Seen {
    stage.until(from).await;
    let (requests, loads) = (stage.sts.requests(), stage.loads().len());
    let first = stage.session.served().map(|served| served.id);
    stage.sts.misbehave(DOWN);
    let over = from + OUTAGE;
    let mut answers = Vec::new();
    loop {
        if stage.clock.elapsed() >= over {
            stage.sts.recover();
        }
        let answer = stage.ask().await;
        let served = stage.session.served().map(|served| served.id);
        if served.is_some() && served != first {
            break;
        }
        answers.push((stage.clock.elapsed(), answer.is_ok()));
        let left = over.saturating_sub(stage.clock.elapsed());
        sleep(if left.is_zero() { SECOND } else { pace.min(left) }).await;
    }
    let loads = stage.loads().split_off(loads);
    let failed: Vec<_> = loads.into_iter().filter(|load| !load.brought).collect();
    let recovery = stage.clock.elapsed() - failed.iter().map(|load| load.to).fold(over, Duration::max);
    // The last request is the one that brought the new set.
    let requests = stage.sts.requests() - requests - 1;
    Seen { answers, failed, requests, recovery }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_begins_and_ends_while_the_set_is_fresh_is_never_known() {
    let stage = Stage::holding(12 * HOUR, RefreshPolicy::default()).await;
    stage.until(HOUR).await;
    stage.sts.misbehave(DOWN);
    for _ in 0..60 {
        stage.ask().await.unwrap();
        sleep(OUTAGE / 60).await;
    }
    assert_eq!(stage.sts.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_from_fresh_into_the_advisory_window_reaches_nobody() {
    let stage = Stage::holding(HOUR, RefreshPolicy::default()).await;
    let (from, end) = (stage.expiry - 42 * MINUTE, stage.expiry);
    let seen = outage(stage, from, 20 * SECOND).await;
    seen.served_until(end);
    seen.paused(LONG.0);
    seen.requests_follow();
    assert!((1..=2).contains(&seen.fetches()), "{} in 5 min of the window at most", seen.fetches());
    seen.recovered_within(LONG.1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_within_the_advisory_window_reaches_nobody_and_costs_a_fetch_per_hold() {
    let stage = Stage::holding(12 * HOUR, RefreshPolicy::default()).await;
    let (from, end) = (stage.expiry - 55 * MINUTE, stage.expiry);
    let seen = outage(stage, from, 20 * SECOND).await;
    seen.served_until(end);
    seen.paused(LONG.0);
    seen.requests_follow();
    // A hold of 300 s at least; of 600 s at most, and up to 20 s until somebody asks.
    assert!((3..=6).contains(&seen.fetches()), "{} fetches", seen.fetches());
    seen.recovered_within(LONG.1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_from_the_advisory_window_past_expiry_is_told_only_after_it() {
    let stage = Stage::holding(HOUR, RefreshPolicy::default()).await;
    let (from, end) = (stage.expiry - 14 * MINUTE, stage.expiry);
    let seen = outage(stage, from, 50 * SECOND).await;
    seen.served_until(end);
    seen.paused(SHORT.0);
    seen.requests_follow();
    let early: Vec<_> = seen.failed.iter().filter(|load| load.from < end - MINUTE).collect();
    assert!((2..=3).contains(&early.len()), "{early:?} before the last minute");
    seen.recovered_within(SHORT.1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_from_the_mandatory_window_on_is_told_after_expiry_and_over_within_seconds() {
    let stage = Stage::holding(HOUR, RefreshPolicy::default()).await;
    let (from, end) = (stage.expiry - 50 * SECOND, stage.expiry);
    let seen = outage(stage, from, 50 * SECOND).await;
    seen.served_until(end);
    seen.paused(SHORT.0);
    seen.requests_follow();
    seen.recovered_within(SHORT.1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_after_expiry_is_told_from_the_first_and_over_within_seconds() {
    let stage = Stage::holding(HOUR, RefreshPolicy::default()).await;
    let (from, end) = (stage.expiry + MINUTE, stage.expiry);
    let seen = outage(stage, from, 50 * SECOND).await;
    seen.served_until(end);
    seen.paused(SHORT.0);
    seen.requests_follow();
    seen.recovered_within(SHORT.1);
}

#[tokio::test(start_paused = true)]
async fn with_expired_sets_served_an_outage_reaches_nobody_and_costs_a_fetch_per_hold() {
    for before_expiry in [14 * MINUTE, 50 * SECOND, Duration::ZERO] {
        let stage = Stage::holding(HOUR, RefreshPolicy::default().serve_expired(true)).await;
        let from = stage.expiry - before_expiry;
        let seen = outage(stage, from, 20 * SECOND).await;
        seen.served_until(Duration::MAX);
        seen.paused(LONG.0);
        seen.requests_follow();
        assert!((3..=6).contains(&seen.fetches()), "{} fetches", seen.fetches());
        seen.recovered_within(LONG.1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_rests_is_told_from_memory_between_the_fetches() {
    let stage = Stage::holding(HOUR, RefreshPolicy::default()).await;
    stage.until(stage.expiry).await;
    stage.sts.misbehave(DOWN);
    let before = stage.loads().len();
    let mut asked = 0;
    while stage.clock.elapsed() < stage.expiry + MINUTE {
        assert_eq!(stage.ask().await.unwrap_err().kind(), ErrorKind::Expired);
        asked += 1;
        sleep(SECOND / 10).await;
    }
    let loads = stage.loads().split_off(before);
    assert!(loads.windows(2).all(|two| two[1].from - two[0].to >= SHORT.0), "{loads:?}");
    assert!(loads.len() >= 6 && asked > 2 * loads.len(), "{asked} asked, {} fetches", loads.len());
}

#[tokio::test(start_paused = true)]
async fn an_outage_without_anybody_at_the_address_is_met_in_the_same_way() {
    let stage = Stage::holding(HOUR, RefreshPolicy::default()).await;
    stage.until(stage.expiry - 14 * MINUTE).await;
    stage.sts.misbehave(Fault::IsNotThere);
    while stage.clock.elapsed() < stage.expiry - SECOND {
        stage.ask().await.unwrap();
        sleep(20 * SECOND).await;
    }
    stage.until(stage.expiry).await;
    let error = stage.ask().await.unwrap_err();
    assert_eq!((error.kind(), cause(&error)), (ErrorKind::Expired, Some(ErrorKind::Unavailable)));
    stage.sts.recover();
    sleep(SHORT.1).await;
    stage.ask().await.unwrap();
}
