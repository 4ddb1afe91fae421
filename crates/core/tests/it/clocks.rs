//! Wall time that jumps.

use valetkey_core::ErrorKind;

use crate::bench::*;

#[tokio::test]
async fn a_clock_that_jumps_back_never_revives_an_expired_set() {
    let bench = Bench::with_cached(HOUR, |clock| vec![fails_unavailable(), returns(clock, 2, 5 * HOUR)]).await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.kind().await, ErrorKind::Expired);
    bench.clock.jump_back(50 * MINUTE);
    assert!(bench.session.current().is_none());
    assert_eq!(bench.number().await.unwrap(), 2, "it is fetched anew");
}

#[tokio::test]
async fn an_expired_set_that_was_set_by_hand_stays_expired_too() {
    let bench = Bench::new(|_| vec![]);
    bench.session.set_credentials(expiring(&bench.clock, 1, HOUR)).unwrap();
    bench.clock.advance(2 * HOUR);
    assert_eq!(bench.kind().await, ErrorKind::Expired);
    bench.clock.jump_back(2 * HOUR);
    assert_eq!(bench.kind().await, ErrorKind::Expired);
}

#[tokio::test]
async fn a_clock_that_jumps_back_does_not_prolong_a_back_off() {
    let bench = Bench::with_cached(HOUR, |clock| vec![fails_unavailable(), returns(clock, 2, 5 * HOUR)]).await;
    bench.clock.advance(50 * MINUTE);
    assert_eq!(bench.number().await.unwrap(), 1);
    bench.clock.jump_back(MINUTE);
    assert_eq!(bench.number().await.unwrap(), 2);
}

#[tokio::test]
async fn a_machine_that_slept_through_the_expiry_fetches_first() {
    let bench = Bench::with_cached(HOUR, |clock| vec![returns(clock, 2, 48 * HOUR)]).await;
    bench.clock.advance(24 * HOUR);
    assert_eq!(bench.number().await.unwrap(), 2);
}

#[tokio::test]
async fn credentials_that_expired_before_a_failed_refresh_stay_expired() {
    let bench = Bench::with_cached(HOUR, |_| vec![fails_unavailable()]).await;
    bench.clock.advance(2 * HOUR);
    bench.session.refresh(bench.session.default_account()).await.unwrap_err();
    bench.clock.jump_back(2 * HOUR);
    assert!(bench.session.current().is_none());
}
