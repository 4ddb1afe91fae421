//! Lookups under way: shared, abandoned, stuck, panicking, and overtaken by a forget.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use valetkey_core::testing::{ManualClock, Script, ScriptedProvider};
use valetkey_core::{CredentialResolver, Error, ErrorKind, Expiry, Result};

use super::{CachedResolverFixture, credential_id};
use crate::session_fixture::*;

type Caller<'a> = Pin<Box<dyn Future<Output = Result<u64>> + Send + 'a>>;

/// A caller whose lookup is under way.
async fn start_lookup<'a>(fixture: &'a CachedResolverFixture, name: &'a str) -> Caller<'a> {
    let mut caller: Caller<'a> = Box::pin(fixture.resolve_number(name));
    assert!(poll_once(&mut caller).await.is_none());
    caller
}

#[tokio::test]
async fn lookup_concurrent_calls_share_one_result() {
    for (script, expected) in [
        (None, Ok(1)),
        (Some(fails_denied()), Err(ErrorKind::Denied)),
        (Some(fails_unavailable()), Err(ErrorKind::Unavailable)),
    ] {
        let fixture =
            CachedResolverFixture::blocked(|clock| vec![script.unwrap_or_else(|| returns(clock, 1, HOUR))]);
        let callers = join_all((0..1_000).map(|_| fixture.resolve_number("one")));
        let (results, ()) = tokio::join!(callers, async {
            settle().await;
            fixture.source.provider.release(1_000);
        });
        assert!(results.into_iter().all(|it| it.map_err(|error| error.kind()) == expected));
        assert_eq!(fixture.lookup_count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookup_on_many_threads_resolves_once() {
    let fixture = Arc::new(CachedResolverFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]));
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move { fixture.resolve_number("one").await.unwrap() })
        })
        .collect();
    fixture.source.provider.release(1_000);
    for task in tasks {
        assert_eq!(task.await.unwrap(), 1);
    }
    assert_eq!(fixture.lookup_count(), 1);
}

#[tokio::test]
async fn lookup_of_other_id_does_not_wait() {
    let fixture =
        CachedResolverFixture::blocked(|clock| vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR)]);
    let first = start_lookup(&fixture, "one").await;
    let second = start_lookup(&fixture, "two").await;
    assert_eq!(fixture.lookup_count(), 2);
    fixture.source.provider.release(2);
    assert_eq!((second.await.unwrap(), first.await.unwrap()), (1, 2));
}

#[tokio::test]
async fn lookup_dropped_or_stalled_leader_blocks_no_follower() {
    let fixture = CachedResolverFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let dropped = start_lookup(&fixture, "one").await;
    let _never_polled_again = start_lookup(&fixture, "one").await;
    let follower = fixture.resolve_number("one");
    drop(dropped);
    fixture.source.provider.release(1);
    assert_eq!(follower.await.unwrap(), 1);
    assert_eq!(fixture.lookup_count(), 1);
}

#[tokio::test]
async fn lookup_abandoned_by_all_is_restarted() {
    let fixture = CachedResolverFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    drop(start_lookup(&fixture, "one").await);
    fixture.source.provider.release(1);
    assert_eq!(fixture.resolve_number("one").await.unwrap(), 1);
    assert_eq!(fixture.lookup_count(), 2);
}

#[tokio::test]
async fn lookup_panic_fails_all_callers_and_is_not_cached() {
    let fixture = CachedResolverFixture::blocked(|clock| vec![Script::Panic, returns(clock, 1, HOUR)]);
    let callers = join_all((0..10).map(|_| fixture.resolve_number("one")));
    let (results, ()) = tokio::join!(callers, async {
        settle().await;
        fixture.source.provider.release(2);
    });
    for result in results {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (ErrorKind::Internal, Some("scripted")));
    }
    assert_eq!((fixture.resolve_number("one").await.unwrap(), fixture.lookup_count()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn lookup_hanging_times_out_after_20_s() {
    let fixture = CachedResolverFixture::new(|clock| vec![Script::Hang, returns(clock, 1, HOUR)]);
    let began = tokio::time::Instant::now();
    let (first, second) = tokio::join!(fixture.resolve_number("one"), fixture.resolve_number("one"));
    assert_eq!(began.elapsed(), 20 * SECOND);
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::TimedOut, true));
        assert_eq!(error.next_step(), Some("try again"));
    }
    assert_eq!((fixture.resolve_number("one").await.unwrap(), fixture.lookup_count()), (1, 2));
}

#[test]
fn lookup_follower_survives_shutdown_of_leader_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let fixture = CachedResolverFixture::blocked(|clock| vec![returns(clock, 1, HOUR)]);
    let _leader = first.block_on(start_lookup(&fixture, "one"));
    let mut follower = second.block_on(start_lookup(&fixture, "one"));
    drop(first);
    assert!(second.block_on(poll_once(&mut follower)).is_none());
    fixture.source.provider.release(2);
    assert_eq!(second.block_on(follower).unwrap(), 1);
}

#[tokio::test]
async fn lookup_overtaken_by_clear_cache_is_not_cached() {
    let fixture = CachedResolverFixture::blocked(|clock| {
        vec![returns(clock, 1, HOUR), returns(clock, 2, HOUR), returns(clock, 3, HOUR)]
    });
    let before = start_lookup(&fixture, "one").await;
    fixture.resolver.clear_cache();
    let after = start_lookup(&fixture, "one").await;
    assert_eq!(fixture.lookup_count(), 2, "a caller after `clear_cache` joins no earlier lookup");
    fixture.source.provider.release(1);
    assert_eq!(before.await.unwrap(), 1);
    let third = start_lookup(&fixture, "one").await;
    fixture.source.provider.release(1);
    assert_eq!((after.await.unwrap(), third.await.unwrap()), (2, 2));
    assert_eq!((fixture.resolve_number("one").await.unwrap(), fixture.lookup_count()), (2, 2));
}

#[tokio::test]
async fn lookup_after_clear_cache_resolves_again() {
    let fixture = CachedResolverFixture::new(|clock| {
        vec![returns(clock, 1, HOUR), fails_denied(), returns(clock, 2, HOUR)]
    });
    fixture.resolve_number("one").await.unwrap();
    fixture.resolve_number("two").await.unwrap_err();
    fixture.resolver.clear_cache();
    assert_eq!(
        (fixture.resolve_number("one").await.unwrap(), fixture.resolve_number("two").await.unwrap()),
        (2, 2)
    );
    assert_eq!(fixture.source.clear_count.load(Ordering::SeqCst), 1, "the resolver behind it forgets too");
}

#[tokio::test]
async fn lookup_uncached_result_is_dropped_with_its_callers() {
    for (kind, holders_then) in [(ErrorKind::Unavailable, 2), (ErrorKind::Denied, 3)] {
        let mark = Arc::new(());
        let fails = || Script::Fail(Error::new(kind, "no").with_source(Cause(Arc::clone(&mark))));
        let fixture = CachedResolverFixture::new(|_| vec![fails(), Script::Hang]);
        let error = fixture.resolve_number("one").await.unwrap_err();
        assert_eq!(Arc::strong_count(&mark), 2, "{kind:?}: the script let go of it");
        drop(error);
        assert_eq!(Arc::strong_count(&mark), holders_then - 1, "{kind:?}");
        fixture.resolver.clear_cache();
        assert_eq!(Arc::strong_count(&mark), 1, "{kind:?}: after a forget");
    }
}

#[derive(Debug)]
struct Cause(#[allow(dead_code, reason = "held, not read")] Arc<()>);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a cause")
    }
}

impl std::error::Error for Cause {}

#[tokio::test]
async fn clear_cache_follows_end_of_session_but_not_of_child() {
    let clock = ManualClock::new();
    let fixture = CachedResolverFixture::with_provider(clock.clone(), |clock| {
        ScriptedProvider::new([returns(clock, 1, HOUR)])
    });
    let session = builder(&clock).resolver(Arc::new(fixture.resolver.clone())).build();
    let forgotten = || fixture.source.clear_count.load(Ordering::SeqCst);
    session.set_from_resolver(&credential_id("one"), None).await.unwrap();
    session.set_from_resolver(&credential_id("one"), None).await.unwrap();
    assert_eq!(fixture.lookup_count(), 1);
    let child = session.with_credentials(numbered(7, Expiry::Never)).unwrap();
    child.clear();
    drop(child);
    assert_eq!(forgotten(), 0, "the resolver is the parent's");
    session.clear();
    session.set_from_resolver(&credential_id("one"), None).await.unwrap();
    assert_eq!((forgotten(), fixture.lookup_count()), (1, 2));
    drop(session);
    assert_eq!(forgotten(), 2);
}
