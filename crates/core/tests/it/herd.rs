//! Many callers, one fetch: a caller that leaves does not keep the others waiting.

use std::future::Future;
use std::pin::Pin;

use futures_util::future::join_all;
use valetkey_core::{ErrorKind, Result};

use crate::session_fixture::*;

type Caller<'a> = Pin<Box<dyn Future<Output = Result<u64>> + Send + 'a>>;

#[tokio::test]
async fn single_flight_1000_callers_fetch_once() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let callers = join_all((0..1_000).map(|_| fixture.number()));
    let (numbers, ()) = tokio::join!(callers, async {
        settle().await;
        fixture.provider.release(1_000);
    });
    assert!(numbers.into_iter().all(|number| number.unwrap() == 1));
    assert_eq!(fixture.provider.call_count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_flight_many_threads_fetch_once() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let session = fixture.session.clone();
            tokio::spawn(async move { session.credentials().await.map(|it| number(&it)) })
        })
        .collect();
    fixture.provider.release(1_000);
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 1);
    }
    assert_eq!(fixture.provider.call_count(), 1);
}

#[tokio::test]
async fn single_flight_error_reaches_all_callers() {
    for (script, kind) in [(fails_unavailable(), ErrorKind::Unavailable), (fails_denied(), ErrorKind::Denied)]
    {
        let fixture = SessionFixture::blocked(|_| vec![script]);
        let callers = join_all((0..1_000).map(|_| fixture.kind()));
        let (kinds, ()) = tokio::join!(callers, async {
            settle().await;
            fixture.provider.release(1_000);
        });
        assert!(kinds.into_iter().all(|it| it == kind));
        assert_eq!(fixture.provider.call_count(), 1);
    }
}

#[tokio::test]
async fn single_flight_error_at_expiry_fetches_once() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR), fails_unavailable()]);
    fixture.provider.release(1);
    fixture.number().await.unwrap();
    fixture.clock.advance(2 * HOUR);
    let callers = join_all((0..1_000).map(|_| fixture.kind()));
    let (kinds, ()) = tokio::join!(callers, async {
        settle().await;
        fixture.provider.release(1_000);
    });
    assert!(kinds.into_iter().all(|kind| kind == ErrorKind::Expired));
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn single_flight_dropped_leader_does_not_restart_fetch() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let mut leader: Caller<'_> = Box::pin(fixture.number());
    let mut follower: Caller<'_> = Box::pin(fixture.number());
    assert!(poll_once(&mut leader).await.is_none());
    assert!(poll_once(&mut follower).await.is_none());
    drop(leader);
    fixture.provider.release(1);
    assert_eq!(follower.await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 1);
}

#[tokio::test]
async fn single_flight_stalled_leader_blocks_no_follower() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let mut leader: Caller<'_> = Box::pin(fixture.number());
    assert!(poll_once(&mut leader).await.is_none());
    let (followers, ()) = tokio::join!(join_all((0..10).map(|_| fixture.number())), async {
        settle().await;
        fixture.provider.release(1);
    });
    assert!(followers.into_iter().all(|number| number.unwrap() == 1));
    assert_eq!(fixture.provider.call_count(), 1);
    assert_eq!(leader.await.unwrap(), 1, "and it may still come back for its answer");
}

#[tokio::test]
async fn single_flight_abandoned_fetch_is_restarted() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let mut callers: Vec<Caller<'_>> = (0..10).map(|_| Box::pin(fixture.number()) as Caller<'_>).collect();
    for caller in &mut callers {
        assert!(poll_once(caller).await.is_none());
    }
    drop(callers);
    fixture.provider.release(1);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 2);
}

#[tokio::test]
async fn single_flight_aborted_leader_keeps_follower() {
    let fixture = SessionFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let ask = || {
        let session = fixture.session.clone();
        tokio::spawn(async move { session.credentials().await.map(|it| number(&it)) })
    };
    let (leader, follower) = (ask(), ask());
    settle().await;
    leader.abort();
    settle().await;
    fixture.provider.release(1);
    assert_eq!(follower.await.unwrap().unwrap(), 1);
    assert_eq!(fixture.provider.call_count(), 1);
}
