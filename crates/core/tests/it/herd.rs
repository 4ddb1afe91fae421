//! Many callers, one fetch: whoever leaves, nobody is left waiting.

use std::future::Future;
use std::pin::Pin;

use futures_util::future::join_all;
use valetkey_core::{ErrorKind, Result};

use crate::bench::*;

type Caller<'a> = Pin<Box<dyn Future<Output = Result<u64>> + Send + 'a>>;

#[tokio::test]
async fn a_cold_herd_of_a_thousand_asks_once() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let callers = join_all((0..1_000).map(|_| bench.number()));
    let (numbers, ()) = tokio::join!(callers, async {
        settle().await;
        bench.provider.let_through(1_000);
    });
    assert!(numbers.into_iter().all(|number| number.unwrap() == 1));
    assert_eq!(bench.provider.call_count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_herd_on_many_threads_asks_once() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let session = bench.session.clone();
            tokio::spawn(async move { session.credentials().await.map(|it| number(&it)) })
        })
        .collect();
    bench.provider.let_through(1_000);
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), 1);
    }
    assert_eq!(bench.provider.call_count(), 1);
}

#[tokio::test]
async fn a_herd_that_meets_an_error_asks_once_and_all_are_told() {
    for (script, kind) in [(fails_unavailable(), ErrorKind::Unavailable), (fails_denied(), ErrorKind::Denied)] {
        let bench = Bench::blocked(|_| vec![script]);
        let callers = join_all((0..1_000).map(|_| bench.kind()));
        let (kinds, ()) = tokio::join!(callers, async {
            settle().await;
            bench.provider.let_through(1_000);
        });
        assert!(kinds.into_iter().all(|it| it == kind));
        assert_eq!(bench.provider.call_count(), 1);
    }
}

#[tokio::test]
async fn a_herd_at_expiry_that_meets_an_error_asks_once() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR), fails_unavailable()]);
    bench.provider.let_through(1);
    bench.number().await.unwrap();
    bench.clock.advance(2 * HOUR);
    let callers = join_all((0..1_000).map(|_| bench.kind()));
    let (kinds, ()) = tokio::join!(callers, async {
        settle().await;
        bench.provider.let_through(1_000);
    });
    assert!(kinds.into_iter().all(|kind| kind == ErrorKind::Expired));
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn a_leader_that_is_dropped_half_way_does_not_restart_the_fetch() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let mut leader: Caller<'_> = Box::pin(bench.number());
    let mut follower: Caller<'_> = Box::pin(bench.number());
    assert!(poll_once(&mut leader).await.is_none());
    assert!(poll_once(&mut follower).await.is_none());
    drop(leader);
    bench.provider.let_through(1);
    assert_eq!(follower.await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 1);
}

#[tokio::test]
async fn a_leader_that_is_never_polled_again_blocks_nobody() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let mut leader: Caller<'_> = Box::pin(bench.number());
    assert!(poll_once(&mut leader).await.is_none());
    let (followers, ()) = tokio::join!(join_all((0..10).map(|_| bench.number())), async {
        settle().await;
        bench.provider.let_through(1);
    });
    assert!(followers.into_iter().all(|number| number.unwrap() == 1));
    assert_eq!(bench.provider.call_count(), 1);
    assert_eq!(leader.await.unwrap(), 1, "and it may still come back for its answer");
}

#[tokio::test]
async fn a_fetch_that_nobody_waits_for_ends_and_the_next_caller_starts_another() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let mut callers: Vec<Caller<'_>> = (0..10).map(|_| Box::pin(bench.number()) as Caller<'_>).collect();
    for caller in &mut callers {
        assert!(poll_once(caller).await.is_none());
    }
    drop(callers);
    bench.provider.let_through(1);
    assert_eq!(bench.number().await.unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 2);
}

#[tokio::test]
async fn an_aborted_task_takes_nobody_with_it() {
    let bench = Bench::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let ask = || {
        let session = bench.session.clone();
        tokio::spawn(async move { session.credentials().await.map(|it| number(&it)) })
    };
    let (leader, follower) = (ask(), ask());
    settle().await;
    leader.abort();
    settle().await;
    bench.provider.let_through(1);
    assert_eq!(follower.await.unwrap().unwrap(), 1);
    assert_eq!(bench.provider.call_count(), 1);
}
