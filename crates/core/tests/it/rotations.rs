//! Rotations: numbers announced, never secrets.

use futures_util::FutureExt;
use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{Alias, Expiry};

use crate::bench::*;

fn default() -> Alias {
    Alias::default_account()
}

#[tokio::test]
async fn every_set_refresh_and_clear_is_announced_with_a_growing_number() {
    let bench = Bench::new(|clock| vec![answer(clock, 1, HOUR)]);
    let mut rotations = bench.session.rotations(&default()).unwrap();
    assert_eq!(rotations.current().get(), 0);
    bench.number().await.unwrap();
    assert_eq!(rotations.changed().await.unwrap().get(), 1);
    bench.session.refresh(&default()).await.unwrap();
    assert_eq!(rotations.changed().await.unwrap().get(), 2);
    let set = bench.session.set_credentials(numbered(9, Expiry::Never)).unwrap();
    assert_eq!(rotations.changed().await.unwrap(), set);
    bench.session.clear();
    assert_eq!(rotations.changed().await.unwrap().get(), 4);
    assert!(rotations.changed().now_or_never().is_none(), "nothing else happened");
}

#[tokio::test]
async fn failures_and_cached_answers_announce_nothing_but_a_withdrawal_does() {
    let bench = Bench::holding(HOUR, |_| vec![unavailable(), denied()]).await;
    let mut rotations = bench.session.rotations(&default()).unwrap();
    bench.number().await.unwrap();
    bench.session.refresh(&default()).await.unwrap_err();
    assert!(rotations.changed().now_or_never().is_none());
    bench.session.refresh(&default()).await.unwrap_err();
    assert_eq!(rotations.changed().await.unwrap().get(), 2);
}

#[tokio::test]
async fn a_provider_that_replaces_another_announces_that_its_set_is_gone() {
    let bench = Bench::holding(HOUR, |_| vec![]).await;
    let mut rotations = bench.session.rotations(&default()).unwrap();
    let other = ScriptedProvider::new([answer(&bench.clock, 2, HOUR)]);
    bench.session.set_provider_for(&default(), other).unwrap();
    assert!(rotations.changed().now_or_never().is_some());
}

#[tokio::test]
async fn rotations_end_when_the_session_closes_even_while_a_handle_is_left() {
    let bench = Bench::holding(HOUR, |_| vec![]).await;
    let mut waiting = bench.session.rotations(&default()).unwrap();
    let mut late = waiting.clone();
    let task = tokio::spawn(async move { waiting.changed().await });
    settle().await;
    bench.session.close();
    assert_eq!(task.await.unwrap(), None);
    assert_eq!(late.changed().await, None);
    assert_eq!(late.changed().await, None);
}

#[tokio::test]
async fn rotations_end_when_the_last_handle_is_dropped() {
    let bench = Bench::holding(HOUR, |_| vec![]).await;
    let mut rotations = bench.session.rotations(&default()).unwrap();
    drop(bench);
    assert_eq!(rotations.changed().await, None);
}
