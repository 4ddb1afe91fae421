//! Failures of the server: each is a temporary error, and no confirmed change is lost.

use std::time::Duration;

use valetkey_rig::Redis;
use valetkey_store::{Change, NodeId, RecordGeneration, SessionStore, StoreError, StoreEvent};

use super::{LASTING, LONG, Session, builder, connect};

const FIRST: RecordGeneration = RecordGeneration::FIRST;

/// Repeats an operation until the store is there again.
async fn retry<T>(mut operation: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..1_000 {
        match operation().await {
            Ok(value) => return value,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store did not recover");
}

/// Every operation of a session that exists fails with a temporary error.
async fn assert_all_fail(store: &dyn SessionStore, session: &Session, is_expected: fn(&StoreError) -> bool) {
    let (id, node) = (session.handle.id(), NodeId::random().unwrap());
    let second = session.seal(2);
    let new = Session::new();
    let errors = [
        store.create(new.handle.id(), &new.seal(1), LASTING).await.unwrap_err(),
        store.load(id).await.unwrap_err(),
        store.save(id, FIRST, &second, Change::Rotated).await.unwrap_err(),
        store.save(id, FIRST, &second, Change::Cleared).await.unwrap_err(),
        store.touch(id).await.unwrap_err(),
        store.close(new.handle.id()).await.unwrap_err(),
        store.versions(&[id]).await.unwrap_err(),
        store.lease(id, FIRST, node, LONG).await.unwrap_err(),
        store.position().await.unwrap_err(),
    ];
    for error in errors {
        assert!(is_expected(&error) && error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn server_killed_and_restarted_loses_nothing() {
    let mut server = Redis::start(&[]).await.unwrap();
    let store = connect(&server).await;
    let (kept, closed) = (Session::created(&store).await, Session::created(&store).await);
    let start = store.position().await.unwrap();
    store.save(kept.handle.id(), FIRST, &kept.seal(2), Change::Cleared).await.unwrap();
    store.close(closed.handle.id()).await.unwrap();

    server.kill().await.unwrap();
    assert_all_fail(&store, &kept, |error| matches!(error, StoreError::Unavailable(_))).await;
    assert!(store.events_since(&start, LONG).await.unwrap_err().is_transient());

    server.restart().await.unwrap();
    let loaded = retry(async || store.load(kept.handle.id()).await).await;
    assert_eq!(loaded.generation(), FIRST.next());
    assert_eq!(store.load(closed.handle.id()).await.unwrap_err(), StoreError::NoSession);
    let again = store.create(closed.handle.id(), &closed.seal(1), LASTING).await;
    assert_eq!(again, Err(StoreError::Exists), "a closed session stays closed");

    // The events are there, and the node has to compare versions: it cannot know that none is missing.
    let batch = store.events_since(&start, Duration::ZERO).await.unwrap();
    assert!(!batch.is_complete);
    let saved = StoreEvent::Saved { id: kept.handle.id(), generation: FIRST.next(), change: Change::Cleared };
    assert!(batch.events.contains(&saved) && batch.events.len() == 2, "{batch:?}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn server_paused_times_out_and_recovers() {
    let server = Redis::start(&[]).await.unwrap();
    let store = builder(&server.url()).timeout(Duration::from_millis(300)).connect().await.unwrap();
    let session = Session::created(&store).await;
    server.pause().await.unwrap();
    assert_all_fail(&store, &session, |error| *error == StoreError::TimedOut).await;
    server.resume().await.unwrap();

    // A save whose response was lost has taken place. Repeating it is no conflict; another one is.
    let second = retry(async || store.load(session.handle.id()).await).await;
    assert_eq!(second.generation(), FIRST.next());
    let repeated = store.save(session.handle.id(), FIRST, &second, Change::Rotated).await;
    assert_eq!(repeated, Ok(()));
    let other = store.save(session.handle.id(), FIRST, &session.seal(2), Change::Rotated).await;
    assert_eq!(other, Err(StoreError::Superseded { current: FIRST.next() }));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn server_that_becomes_a_replica_is_read_only() {
    let server = Redis::start(&[]).await.unwrap();
    let store = connect(&server).await;
    let session = Session::created(&store).await;
    let start = store.position().await.unwrap();
    // Its master does not exist, so it stays as it is.
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();

    let id = session.handle.id();
    let new = Session::new();
    let node = NodeId::random().unwrap();
    let errors = [
        store.create(new.handle.id(), &new.seal(1), LASTING).await.unwrap_err(),
        store.save(id, FIRST, &session.seal(2), Change::Rotated).await.unwrap_err(),
        store.touch(id).await.unwrap_err(),
        store.close(id).await.unwrap_err(),
        store.lease(id, FIRST, node, LONG).await.unwrap_err(),
    ];
    assert_eq!(errors, [const { StoreError::ReadOnly }; 5]);
    assert_eq!(session.generation(&store).await, Some(1), "it still serves reads");
    assert!(store.load(id).await.is_ok());

    server.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    store.save(id, FIRST, &session.seal(2), Change::Rotated).await.unwrap();
    let batch = store.events_since(&start, Duration::ZERO).await.unwrap();
    assert!(!batch.is_complete, "another history of the server");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn server_out_of_memory_still_clears_and_closes() {
    let server = Redis::start(&["--maxmemory-policy", "noeviction"]).await.unwrap();
    let store = connect(&server).await;
    let (cleared, closed) = (Session::created(&store).await, Session::created(&store).await);
    let start = store.position().await.unwrap();
    assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap(), "+OK\r\n");

    let (id, new) = (cleared.handle.id(), Session::new());
    let node = NodeId::random().unwrap();
    let errors = [
        store.create(new.handle.id(), &new.seal(1), LASTING).await.unwrap_err(),
        store.save(id, FIRST, &cleared.seal(2), Change::Rotated).await.unwrap_err(),
        store.lease(id, FIRST, node, LONG).await.unwrap_err(),
    ];
    assert_eq!(errors, [const { StoreError::OutOfMemory }; 3]);
    assert!(errors.iter().all(StoreError::is_transient));

    store.touch(id).await.unwrap();
    assert!(store.load(id).await.is_ok());
    store.save(id, FIRST, &cleared.seal(2), Change::Cleared).await.unwrap();
    store.close(closed.handle.id()).await.unwrap();
    let batch = store.events_since(&start, Duration::ZERO).await.unwrap();
    assert_eq!((batch.events.len(), batch.is_complete), (2, true));
    assert_eq!(store.load(closed.handle.id()).await.unwrap_err(), StoreError::NoSession);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn write_without_enough_replicas_is_not_confirmed() {
    let master = Redis::start(&[]).await.unwrap();
    let confirmed =
        builder(&master.url()).min_replicas(1).timeout(Duration::from_millis(400)).connect().await.unwrap();
    let session = Session::new();
    let (id, first) = (session.handle.id(), session.seal(1));
    let refused = confirmed.create(id, &first, LASTING).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");

    let (host, port) = ("127.0.0.1", master.port().to_string());
    let mut replica = Redis::start(&["--replicaof", host, &port]).await.unwrap();
    retry(async || confirmed.create(id, &first, LASTING).await).await;
    retry(async || confirmed.save(id, FIRST, &session.seal(2), Change::Cleared).await.or_else(superseded))
        .await;

    // A failover to the replica: what was confirmed is there.
    master.stop().await.unwrap();
    replica.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    let promoted = connect(&replica).await;
    assert_eq!(session.generation(&promoted).await, Some(2));
    replica.kill().await.unwrap();
    replica.stop().await.unwrap();
}

/// A repeated save, sealed anew, finds that the first one has taken place.
fn superseded(error: StoreError) -> Result<(), StoreError> {
    if matches!(error, StoreError::Superseded { .. }) { Ok(()) } else { Err(error) }
}
