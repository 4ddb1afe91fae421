//! `keep_warm`: refreshed ahead of need, so that no caller waits.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::{Duration, sleep, timeout};
use valetkey_core::testing::{Script, ScriptedProvider, VirtualClock};
use valetkey_core::{AccountName, Expiry, Freshness, SessionContext};

use crate::session_fixture::*;

/// Longer than a warmer sleeps. Time is paused, so the test does not really wait.
const LONGER_THAN_SLEEP: Duration = Duration::from_secs(35);

#[tokio::test(start_paused = true)]
async fn keep_warm_refreshes_and_no_caller_waits() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, 3 * HOUR)]);
    let warmer = tokio::spawn(fixture.session.keep_warm());
    fixture.provider.release(1);
    fixture.number().await.unwrap();
    sleep(SECOND).await;
    fixture.clock.advance(50 * MINUTE);
    assert_eq!(
        fixture.number().now_or_never().expect("at once").unwrap(),
        1,
        "callers leave it to the warmer"
    );
    assert_eq!(fixture.provider.call_count(), 1);
    sleep(LONGER_THAN_SLEEP).await;
    assert_eq!(fixture.provider.call_count(), 2, "the warmer fetches");
    for _ in 0..100 {
        assert_eq!(fixture.number().now_or_never().expect("at once").unwrap(), 1);
    }
    fixture.provider.release(1);
    sleep(SECOND).await;
    assert_eq!(fixture.number().now_or_never().expect("at once").unwrap(), 2);
    assert_eq!(fixture.provider.call_count(), 2);
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_refreshes_when_window_opens() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, 3 * HOUR)]).await;
    fixture.clock.advance(43 * MINUTE);
    while fixture.session.status().accounts[0].freshness == Some(Freshness::Fresh) {
        fixture.clock.advance(SECOND);
    }
    fixture.clock.rewind(5 * SECOND);
    let warmer = tokio::spawn(fixture.session.keep_warm());
    for _ in 0..6 {
        assert_eq!(fixture.provider.call_count(), 1);
        sleep(SECOND).await;
        fixture.clock.advance(SECOND);
    }
    sleep(SECOND).await;
    assert_eq!(fixture.provider.call_count(), 2);
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_skips_unused_accounts() {
    let fixture = SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]);
    fixture
        .session
        .for_account(&"prod".parse().unwrap())
        .set_credentials(numbered(5, Expiry::Never))
        .unwrap();
    let warmer = tokio::spawn(fixture.session.keep_warm());
    fixture.clock.advance(10 * HOUR);
    sleep(10 * LONGER_THAN_SLEEP).await;
    assert_eq!(fixture.provider.call_count(), 0);
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_ends_with_session() {
    let closed = SessionContext::builder().build();
    let warmer = tokio::spawn(closed.keep_warm());
    settle().await;
    closed.close();
    timeout(SECOND, warmer).await.expect("at once").unwrap();
    let dropped = SessionContext::builder().build();
    let warmer = tokio::spawn(dropped.keep_warm());
    settle().await;
    drop(dropped);
    timeout(SECOND, warmer).await.expect("at once").unwrap();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_ends_with_session_while_provider_hangs() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![Script::Hang]).await;
    fixture.clock.advance(50 * MINUTE);
    let warmer = tokio::spawn(fixture.session.keep_warm());
    settle().await;
    assert_eq!(fixture.provider.call_count(), 2);
    fixture.session.close();
    timeout(2 * SECOND, warmer).await.expect("without the provider's answer").unwrap();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_respects_backoff_without_spinning() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    let warmer = tokio::spawn(fixture.session.keep_warm());
    fixture.clock.advance(44 * MINUTE + 30 * SECOND);
    for _ in 0..29 {
        fixture.clock.advance(10 * SECOND);
        sleep(10 * SECOND).await;
    }
    assert_eq!(fixture.provider.call_count(), 2, "one attempt in the first 300 s");
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_credentials_stale_at_issue_fetches_once_a_second() {
    let clock = Arc::new(VirtualClock::new());
    let stale = numbered(1, Expiry::Never).with_max_age(Duration::ZERO);
    let provider = ScriptedProvider::new([Script::Answer(stale)]);
    let session = SessionContext::builder().clock(clock).provider(provider.clone()).build();
    session.credentials().await.unwrap();
    let warmer = tokio::spawn(session.keep_warm());
    sleep(10 * SECOND).await;
    let fetches = provider.call_count() - 1;
    assert!((9..=11).contains(&fetches), "{fetches} fetches in 10 s");
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn keep_warm_dropped_restores_refresh_on_demand() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, 3 * HOUR)]).await;
    drop(fixture.session.keep_warm());
    fixture.clock.advance(50 * MINUTE);
    assert_eq!(fixture.number().await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn keep_warm_unpolled_serves_nothing_expired() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, 9 * HOUR)]).await;
    let _unpolled = fixture.session.keep_warm();
    fixture.clock.advance(2 * HOUR);
    assert_eq!(fixture.number().await.unwrap(), 2);
    assert_eq!(fixture.session.default_account(), &AccountName::default_account());
}
