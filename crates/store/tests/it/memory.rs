//! The store in memory: the contract, and what is particular to it.

use std::time::Duration;

use valetkey_store::{
    Change, ClientHandle, KeyRing, MemoryStore, RecordGeneration, RecordLifetime, RecordOwner, SealedRecord,
    SessionStore, StoreError, testing,
};

const LONG: Duration = Duration::from_secs(3_600);

fn seal(handle: &ClientHandle, generation: u64) -> SealedRecord {
    let owner = RecordOwner::new("acme", "alice".parse().unwrap());
    let generation = RecordGeneration::new(generation);
    KeyRing::generate().unwrap().seal(handle, &owner, generation, b"contents").unwrap()
}

#[tokio::test(start_paused = true)]
async fn memory_store_meets_the_contract() {
    let store = MemoryStore::new();
    assert_eq!(testing::faults(&store).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn contract_finds_a_store_without_events() {
    // Keeps no event, so that none is ever complete.
    let faults = testing::faults(&MemoryStore::with_max_events(0)).await;
    assert!(faults.iter().any(|fault| fault.contains("clause 5")), "{faults:?}");
}

#[tokio::test(start_paused = true)]
async fn record_touched_in_time_ends_by_lifetime_only() {
    let (store, handle) = (MemoryStore::new(), ClientHandle::random().unwrap());
    let lifetime = RecordLifetime { idle: Duration::from_secs(60), total: Duration::from_secs(150) };
    store.create(handle.id(), &seal(&handle, 1), lifetime).await.unwrap();
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(59)).await;
        store.touch(handle.id()).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(store.load(handle.id()).await.is_ok());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(store.load(handle.id()).await, Err(StoreError::NoSession));
}

#[tokio::test(start_paused = true)]
async fn record_saved_keeps_its_remaining_time() {
    let (store, handle) = (MemoryStore::new(), ClientHandle::random().unwrap());
    let lifetime = RecordLifetime { idle: Duration::from_secs(60), total: LONG };
    store.create(handle.id(), &seal(&handle, 1), lifetime).await.unwrap();
    tokio::time::advance(Duration::from_secs(59)).await;
    store.save(handle.id(), RecordGeneration::FIRST, &seal(&handle, 2), Change::Rotated).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(store.load(handle.id()).await, Err(StoreError::NoSession));
}

#[tokio::test(start_paused = true)]
async fn events_beyond_the_limit_are_incomplete() {
    let store = MemoryStore::with_max_events(2);
    let start = store.position().await.unwrap();
    for _ in 0..2 {
        store.close(ClientHandle::random().unwrap().id()).await.unwrap();
    }
    let both = store.events_since(&start, Duration::ZERO).await.unwrap();
    assert_eq!((both.events.len(), both.is_complete), (2, true));
    store.close(ClientHandle::random().unwrap().id()).await.unwrap();
    let trimmed = store.events_since(&start, Duration::ZERO).await.unwrap();
    assert!(!trimmed.is_complete);
    let next = store.events_since(&both.position, Duration::ZERO).await.unwrap();
    assert_eq!((next.events.len(), next.is_complete), (1, true));
}

#[tokio::test(start_paused = true)]
async fn events_without_a_change_end_after_the_wait() {
    let store = MemoryStore::new();
    let start = store.position().await.unwrap();
    let batch = store.events_since(&start, Duration::from_secs(2)).await.unwrap();
    assert!(batch.events.is_empty() && batch.is_complete);
    assert_eq!(batch.position, start);
}

#[tokio::test(start_paused = true)]
async fn replica_reports_positions_of_its_origin_as_incomplete() {
    let store = MemoryStore::new();
    let start = store.position().await.unwrap();
    let batch = store.replica().events_since(&start, Duration::ZERO).await.unwrap();
    assert!(!batch.is_complete);
}

#[test]
fn store_errors_of_an_outage_are_transient() {
    for error in [
        StoreError::Unavailable("example"),
        StoreError::TimedOut,
        StoreError::ReadOnly,
        StoreError::OutOfMemory,
    ] {
        let error = valetkey_core::Error::from(error);
        assert!(error.is_transient() && error.next_step().is_some(), "{error}");
    }
    assert!(!StoreError::NoSession.is_transient());
    assert!(!StoreError::Denied.is_transient());
}
