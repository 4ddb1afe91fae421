//! What the store requires of a server, and how it uses one: users, namespaces, lifetimes, trimmed events, replicas.

use std::time::Duration;

use valetkey_rig::Redis;
use valetkey_store::{
    Change, ClientHandle, RecordError, RecordGeneration, RecordLifetime, SessionStore, StoreError, testing,
};

use super::{LONG, Session, builder, connect};

/// The permissions that the documentation of the store lists.
const USER: [&str; 29] = [
    "ACL",
    "SETUSER",
    "valetkey",
    "on",
    ">pass-word",
    "~{valetkey:*",
    "resetchannels",
    "-@all",
    "+eval",
    "+hmget",
    "+hget",
    "+hset",
    "+hdel",
    "+hstrlen",
    "+exists",
    "+del",
    "+pexpire",
    "+pttl",
    "+time",
    "+xadd",
    "+xrange",
    "+xrevrange",
    "+xread",
    "+xinfo|stream",
    "+info",
    "+wait",
    "+ping",
    "allchannels",
    "resetchannels",
];

#[tokio::test]
async fn store_with_the_documented_permissions_meets_contract() {
    let server = Redis::start(&[]).await.unwrap();
    assert_eq!(server.command(&USER).await.unwrap(), "+OK\r\n");
    let url = |user: &str| format!("redis://{user}@127.0.0.1:{}/", server.port());
    let store = builder(&url("valetkey:pass-word")).connect().await.unwrap();
    assert_eq!(testing::faults(&store).await, [""; 0]);

    let other = builder(&url("valetkey:pass-word")).namespace("other").unwrap().connect().await.unwrap();
    assert_eq!(other.load(ClientHandle::random().unwrap().id()).await, Err(StoreError::Denied));
    let wrong = builder(&url("valetkey:wrong")).connect().await.unwrap_err();
    assert_eq!(wrong, StoreError::Denied);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn stores_of_two_namespaces_share_nothing() {
    let server = Redis::start(&[]).await.unwrap();
    let first = connect(&server).await;
    let second = builder(&server.url()).namespace("second").unwrap().connect().await.unwrap();
    let start = second.position().await.unwrap();
    let session = Session::created(&first).await;
    first.close(session.handle.id()).await.unwrap();
    let batch = second.events_since(&start, Duration::ZERO).await.unwrap();
    assert!(batch.events.is_empty() && batch.is_complete);
    assert!(second.create(session.handle.id(), &session.seal(1), super::LASTING).await.is_ok());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn server_that_evicts_keys_is_refused() {
    let evicting = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Redis::start(&evicting).await.unwrap();
    let refused = builder(&server.url()).connect().await.unwrap_err();
    assert!(matches!(refused, StoreError::Misconfigured(rule) if rule.contains("noeviction")), "{refused}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn address_malformed_or_without_server_is_an_error() {
    let malformed = builder("hunter2://x").connect().await.unwrap_err();
    assert!(matches!(malformed, StoreError::Misconfigured(_)));
    assert!(!format!("{malformed} {malformed:?}").contains("hunter2"));
    for scheme in ["redis", "rediss"] {
        let refused = builder(&format!("{scheme}://127.0.0.1:1/")).connect().await.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{scheme}: {refused}");
    }
}

#[tokio::test]
async fn record_has_the_remaining_time_of_its_session() {
    let server = Redis::start(&[]).await.unwrap();
    let store = connect(&server).await;
    let session = Session::new();
    let (id, key) = (session.handle.id(), record_key(&session.handle));
    let lifetime = RecordLifetime { idle: Duration::from_secs(900), total: LONG };
    store.create(id, &session.seal(1), lifetime).await.unwrap();
    let remaining = async || {
        let reply = server.command(&["PTTL", &key]).await.unwrap();
        reply[1..].trim().parse::<i64>().unwrap()
    };
    assert!((1..=900_000).contains(&remaining().await));
    server.command(&["PEXPIRE", &key, "5000"]).await.unwrap();
    store.save(id, RecordGeneration::FIRST, &session.seal(2), Change::Rotated).await.unwrap();
    assert!((1..=5_000).contains(&remaining().await), "a save does not prolong a session");
    store.touch(id).await.unwrap();
    assert!((5_001..=900_000).contains(&remaining().await));
    // The end of the lifetime is near.
    server.command(&["HSET", &key, "i", "99999999999"]).await.unwrap();
    store.touch(id).await.unwrap();
    assert!((900_001..=3_600_000).contains(&remaining().await));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn events_trimmed_by_the_server_are_incomplete() {
    let server = Redis::start(&[]).await.unwrap();
    let store = builder(&server.url()).shards(1).max_events(1).connect().await.unwrap();
    let close_some = async || {
        // The server trims whole blocks of about a hundred entries.
        for _ in 0..250 {
            store.close(ClientHandle::random().unwrap().id()).await.unwrap();
        }
    };
    for start in ["at an empty stream", "at an entry"] {
        let position = store.position().await.unwrap();
        close_some().await;
        let batch = store.events_since(&position, Duration::ZERO).await.unwrap();
        assert!(!batch.is_complete, "{start}");
        let next = store.events_since(&batch.position, Duration::ZERO).await.unwrap();
        assert!(next.is_complete && next.events.is_empty(), "{start}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn record_changed_in_the_server_is_refused() {
    let server = Redis::start(&[]).await.unwrap();
    let store = connect(&server).await;
    let (session, other) = (Session::created(&store).await, Session::created(&store).await);
    let (id, key) = (session.handle.id(), record_key(&session.handle));
    let open = async || {
        let record = store.load(id).await?;
        session.ring.open(&session.handle, &session.owner, &record).map_err(StoreError::from)
    };
    assert_eq!(&**open().await.unwrap(), b"contents 1");

    // An older record under a newer generation.
    server.command(&["HSET", &key, "g", "7"]).await.unwrap();
    assert_eq!(open().await.unwrap_err(), StoreError::Record(RecordError::Rejected));
    // The record of another session.
    server.command(&["COPY", &record_key(&other.handle), &key, "REPLACE"]).await.unwrap();
    assert_eq!(open().await.unwrap_err(), StoreError::Record(RecordError::Rejected));
    for (field, value, expected) in [
        (
            "r",
            "\u{2}0123456789012345678901234567890123456789",
            StoreError::Record(RecordError::UnknownFormat),
        ),
        ("r", "\u{1}", StoreError::Record(RecordError::Truncated)),
        ("g", "many", StoreError::Unexpected),
    ] {
        server.command(&["HSET", &key, field, value]).await.unwrap();
        assert_eq!(store.load(id).await.unwrap_err(), expected);
    }
    server.command(&["SETRANGE", "large", "300000", "x"]).await.unwrap();
    let copy = "redis.call('HSET', KEYS[1], 'g', '1', 'r', redis.call('GET', 'large'))";
    server.command(&["EVAL", copy, "1", &key]).await.unwrap();
    assert_eq!(store.load(id).await.unwrap_err(), StoreError::Record(RecordError::Oversized));
    server.stop().await.unwrap();
}

/// The key of a record with the default namespace and number of shards.
fn record_key(handle: &ClientHandle) -> String {
    format!("{{valetkey:{}}}:s:{}", handle.id().as_bytes()[0] % 16, handle.id())
}
