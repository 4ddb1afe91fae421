//! What a node remembers of sessions: no ids that do not exist, and nothing from before what it has seen.

use std::time::Duration;

use valetkey_store::{
    Change, ClientHandle, KeyRing, KnownSessions, MemoryStore, RecordError, RecordGeneration, RecordLifetime,
    RecordOwner, SealedRecord, SessionNotice, SessionStore, StoreError,
};

const LONG: Duration = Duration::from_secs(3_600);
const FIRST: RecordGeneration = RecordGeneration::FIRST;

fn seal(handle: &ClientHandle, generation: u64) -> SealedRecord {
    let owner = RecordOwner::new("acme", "alice".parse().unwrap());
    let generation = RecordGeneration::new(generation);
    KeyRing::generate().unwrap().seal(handle, &owner, generation, b"contents").unwrap()
}

async fn store_with_session() -> (MemoryStore, ClientHandle) {
    let (store, handle) = (MemoryStore::new(), ClientHandle::random().unwrap());
    let lifetime = RecordLifetime { idle: LONG, total: LONG };
    store.create(handle.id(), &seal(&handle, 1), lifetime).await.unwrap();
    (store, handle)
}

#[tokio::test(start_paused = true)]
async fn load_of_an_older_store_is_replayed() {
    let (store, handle) = store_with_session().await;
    let (id, older) = (handle.id(), store.replica());
    store.save(id, FIRST, &seal(&handle, 2), Change::Rotated).await.unwrap();
    let known = KnownSessions::new(LONG);
    known.load(&store, id).await.unwrap();
    assert_eq!(known.load(&older, id).await, Err(RecordError::Replayed.into()));

    // The other store is the one that there is now: a change may be lost, but not a clear.
    let mut position = store.position().await.unwrap();
    let notices = known.catch_up(&older, &mut position, Duration::ZERO).await.unwrap();
    assert_eq!(notices, [SessionNotice::Outdated { id, change: Change::Cleared }]);
    assert!(known.load(&older, id).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn load_of_a_closed_session_that_returns_is_refused() {
    let (store, handle) = store_with_session().await;
    let (id, older) = (handle.id(), store.replica());
    let known = KnownSessions::new(LONG);
    known.closing(id);
    store.close(id).await.unwrap();
    assert_eq!(known.load(&older, id).await, Err(StoreError::NoSession));
    let mut position = store.position().await.unwrap();
    known.catch_up(&store, &mut position, Duration::ZERO).await.unwrap();
    known.catch_up(&older, &mut position, Duration::ZERO).await.unwrap();
    assert_eq!(older.load(id).await, Err(StoreError::NoSession), "it is closed again");
}

#[tokio::test(start_paused = true)]
async fn clear_lost_by_the_store_is_reported() {
    let (store, handle) = store_with_session().await;
    let (id, older) = (handle.id(), store.replica());
    let known = KnownSessions::new(LONG);
    known.load(&store, id).await.unwrap();
    let mut position = store.position().await.unwrap();
    store.save(id, FIRST, &seal(&handle, 2), Change::Cleared).await.unwrap();
    let notices = known.catch_up(&store, &mut position, Duration::ZERO).await.unwrap();
    assert_eq!(notices, [SessionNotice::Outdated { id, change: Change::Cleared }]);

    // Another node has saved as many generations in the store that lost the clear.
    for generation in 2..=3 {
        let expected = RecordGeneration::new(generation - 1);
        older.save(id, expected, &seal(&handle, generation), Change::Rotated).await.unwrap();
    }
    let notices = known.catch_up(&older, &mut position, Duration::ZERO).await.unwrap();
    let third = RecordGeneration::new(3);
    assert_eq!(notices, [SessionNotice::ClearLost { id, stored: third, latest: third }]);
    assert_eq!(known.load(&older, id).await, Err(RecordError::Replayed.into()));
}

#[tokio::test(start_paused = true)]
async fn load_of_unknown_ids_is_not_remembered() {
    let (store, known) = (MemoryStore::new(), KnownSessions::new(LONG));
    for _ in 0..10 {
        let id = ClientHandle::random().unwrap().id();
        assert_eq!(known.load(&store, id).await, Err(StoreError::NoSession));
        store.close(id).await.unwrap();
    }
    assert!(format!("{known:?}").contains("{}"), "{known:?}");
}
