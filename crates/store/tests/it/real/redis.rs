//! The store in a real Redis: the contract, failures of the server, and what a dump of it contains.

mod dump;
mod failures;
mod server;
mod tls;

use std::time::Duration;

use valetkey_core::SecretString;
use valetkey_rig::Redis;
use valetkey_store::{
    Change, ClientHandle, KeyRing, KnownSessions, RecordGeneration, RecordLifetime, RecordOwner, RedisStore,
    RedisStoreBuilder, SealedRecord, SessionNotice, SessionStore, testing,
};

const LONG: Duration = Duration::from_secs(3_600);
const LASTING: RecordLifetime = RecordLifetime { idle: LONG, total: LONG };

fn builder(url: &str) -> RedisStoreBuilder {
    // The machine may be slow. Tests of slow servers have a limit of their own.
    RedisStore::builder(SecretString::from(url)).timeout(Duration::from_secs(20))
}

pub(super) async fn connect(server: &Redis) -> RedisStore {
    builder(&server.url()).connect().await.unwrap()
}

/// A session whose records can be sealed for any generation.
struct Session {
    ring: KeyRing,
    handle: ClientHandle,
    owner: RecordOwner,
}

impl Session {
    fn new() -> Self {
        let owner = RecordOwner::new("acme", "alice".parse().unwrap());
        Self { ring: KeyRing::generate().unwrap(), handle: ClientHandle::random().unwrap(), owner }
    }

    async fn created(store: &dyn SessionStore) -> Self {
        let session = Self::new();
        store.create(session.handle.id(), &session.seal(1), LASTING).await.unwrap();
        session
    }

    fn seal(&self, generation: u64) -> SealedRecord {
        self.seal_contents(generation, format!("contents {generation}").as_bytes())
    }

    fn seal_contents(&self, generation: u64, contents: &[u8]) -> SealedRecord {
        let generation = RecordGeneration::new(generation);
        self.ring.seal(&self.handle, &self.owner, generation, contents).unwrap()
    }

    async fn generation(&self, store: &dyn SessionStore) -> Option<u64> {
        let versions = store.versions(&[self.handle.id()]).await.unwrap();
        versions[0].map(|version| version.generation.number())
    }
}

#[tokio::test]
async fn redis_store_meets_the_contract() {
    let server = Redis::start(&[]).await.unwrap();
    let store = connect(&server).await;
    assert_eq!(testing::faults(&store).await, [""; 0]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn change_of_one_node_is_noticed_by_another() {
    let server = Redis::start(&[]).await.unwrap();
    let (first, second) = (connect(&server).await, connect(&server).await);
    let (session, known) = (Session::created(&first).await, KnownSessions::new(LONG));
    let id = session.handle.id();
    let mut position = second.position().await.unwrap();
    known.load(&second, id).await.unwrap();

    first.save(id, RecordGeneration::FIRST, &session.seal(2), Change::Cleared).await.unwrap();
    let notices = known.catch_up(&second, &mut position, LONG).await.unwrap();
    assert_eq!(notices, [SessionNotice::Outdated { id, change: Change::Cleared }]);

    let (closed, notices) = tokio::join!(first.close(id), known.catch_up(&second, &mut position, LONG));
    closed.unwrap();
    assert_eq!(notices.unwrap(), [SessionNotice::Ended { id }]);
    server.stop().await.unwrap();
}
