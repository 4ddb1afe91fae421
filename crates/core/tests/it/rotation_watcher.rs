//! Rotations: numbers announced, never secrets.

use futures_util::FutureExt;
use valetkey_core::Expiry;
use valetkey_core::testing::{Script, ScriptedProvider};

use crate::session_fixture::*;

#[tokio::test]
async fn rotation_watcher_reports_set_refresh_and_clear() {
    let fixture = SessionFixture::new(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR)]);
    let mut rotations = fixture.session.watch_rotations().unwrap();
    assert_eq!(rotations.current().get(), 0);
    fixture.number().await.unwrap();
    assert_eq!(rotations.changed().await.unwrap().get(), 1);
    fixture.session.refresh().await.unwrap();
    assert_eq!(rotations.changed().await.unwrap().get(), 2);
    let set = fixture.session.set_credentials(numbered(9, Expiry::Never)).unwrap();
    assert_eq!(rotations.changed().await.unwrap(), set);
    fixture.session.clear();
    assert_eq!(rotations.changed().await.unwrap().get(), 4);
    assert!(rotations.changed().now_or_never().is_none(), "nothing else happened");
}

#[tokio::test]
async fn rotation_watcher_reports_only_permanent_failures() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![fails_unavailable(), fails_denied()]).await;
    let mut rotations = fixture.session.watch_rotations().unwrap();
    fixture.number().await.unwrap();
    fixture.session.refresh().await.unwrap_err();
    assert!(rotations.changed().now_or_never().is_none());
    fixture.session.refresh().await.unwrap_err();
    assert_eq!(rotations.changed().await.unwrap().get(), 2);
}

#[tokio::test]
async fn rotation_watcher_reports_replaced_provider() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
    let mut rotations = fixture.session.watch_rotations().unwrap();
    let other = ScriptedProvider::new([returns(&fixture.clock, 2, HOUR)]);
    fixture.session.set_provider(other).unwrap();
    assert!(rotations.changed().now_or_never().is_some());
}

#[tokio::test]
async fn rotation_watcher_ends_when_session_closes() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
    let mut waiting = fixture.session.watch_rotations().unwrap();
    let mut late = waiting.clone();
    let task = tokio::spawn(async move { waiting.changed().await });
    settle().await;
    fixture.session.close();
    assert_eq!(task.await.unwrap(), None);
    assert_eq!(late.changed().await, None);
    assert_eq!(late.changed().await, None);
}

#[tokio::test]
async fn rotation_watcher_ends_when_last_handle_drops() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
    let mut rotations = fixture.session.watch_rotations().unwrap();
    drop(fixture);
    assert_eq!(rotations.changed().await, None);
}

#[tokio::test]
async fn refresh_returning_same_credentials_keeps_version() {
    let fixture = SessionFixture::new(|_| {
        let key = |n| Script::Answer(numbered(n, Expiry::Never));
        vec![key(1), key(1), key(2)]
    });
    fixture.number().await.unwrap();
    let mut rotations = fixture.session.watch_rotations().unwrap();
    let first = fixture.session.current().unwrap().id;
    assert_eq!(fixture.session.refresh().await.unwrap(), first.generation());
    assert_eq!(fixture.session.current().unwrap().id, first);
    assert!(rotations.changed().now_or_never().is_none());
    fixture.session.refresh().await.unwrap();
    assert!(fixture.session.current().unwrap().id.is_renewal_of(first));
    assert!(rotations.changed().now_or_never().is_some());
}

#[tokio::test]
async fn refresh_after_rejection_changes_version() {
    let fixture = SessionFixture::new(|_| vec![Script::Answer(numbered(1, Expiry::Never))]);
    fixture.number().await.unwrap();
    let first = fixture.session.current().unwrap().id;
    fixture.session.mark_rejected(numbered(1, Expiry::Never).access_key_id());
    fixture.number().await.unwrap();
    assert_ne!(fixture.session.current().unwrap().id, first);
}
