//! `SharedSessions`: credential sessions that any of several gateways serves, from sealed records in one store.
//!
//! | part | responsibility |
//! |---|---|
//! | `contents` | what a record holds of a session, and how a session takes it over |
//! | `record` | the record behind one open session: its handle, its owner, its generation |
//! | `pending_clears` | clears that the store has not confirmed |
//! | `narrowed` | sessions that were narrowed from a shared session |
//! | `opening` | sessions that this node opens, finds and closes |
//! | `changes` | the changes that calls make here, and their saves |
//! | `following` | the changes that other gateways make |
//! | `refreshes` | credentials that one gateway fetches for all |
//! | `status`, `metered_store` | what this node reports of the store and of its part in the fleet |
//!
//! # Invariants
//! - A session is opened only after this node has a position in the events of the store, so no event of it is missed.
//! - The session of a record is found by the record's id together with the caller and the secret of the handle. Another
//!   caller, and another secret, lead to an attempt to open the record, which fails and is audited.
//! - A session on this node has the generation of its record: [`SessionRecord`] holds it. A save expects that generation,
//!   so a change of another node is never overwritten.
//! - Between the event of a change and the load of the record, no call is served from the session. After the event of a
//!   clear, the session is cleared at once.
//! - A clear that the store has not confirmed is not undone by a load: the save comes first.
//! - No lock is held while the store is called.
//!
//! # A change, step by step
//! 1. The session is described: what was set on it and what was cleared.
//! 2. The tool changes the session on this node.
//! 3. The session is described again. If both descriptions are equal, nothing is saved.
//! 4. The description is sealed and saved. If another node was first, the session becomes what the store has, and
//!    the tool is called again. If the store fails, the session becomes what it was, and the call fails.

mod changes;
mod contents;
mod following;
mod metered_store;
mod narrowed;
mod opening;
mod pending_clears;
mod record;
mod refreshes;
mod status;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use valetkey_core::{Result, SessionContext, SessionHandle, WeakSession};
use valetkey_store::{
    Change, ClientHandle, KeyRing, KnownSessions, NodeId, RecordGeneration, RecordId, RecordLifetime,
    RecordOwner, SealedRecord, SessionContents, SessionStore, StoreError,
};

use super::tenant::Tenant;
use super::tenants::TenantGuard;
use metered_store::MeteredStore;
use pending_clears::PendingClears;
use status::{Counted, StatusRecorder};

pub(super) use record::SessionRecord;
pub use status::{SharedSessionsStatus, StoreOperationStatus};

/// How often an operation of the store is tried if its outcome is unknown.
const MAX_ATTEMPTS: u32 = 2;

/// The store in which several gateways keep their sessions, with the keys that seal the records.
///
/// Each gateway of a fleet has the same store, the same ring and the same configuration of sessions.
///
/// # What is shared
/// The sessions that `create_credential_session` opens. Their handles begin with `vk1.`, and any gateway serves them to
/// the caller that opened them. A record holds what the configuration does not: the credentials that were set, which
/// accounts were cleared, the service context, and which sessions were narrowed from it. Temporary credentials that one
/// gateway has fetched are in it as well, for gateways of the same
/// [configuration](super::SessionFactory::configuration).
///
/// Server processes, protocol sessions of legacy clients, the sessions that these clients have without a handle, and the
/// credentials that a narrowed session was issued belong to one node.
///
/// # Changes
/// A tool reports a change only when the store has it. Other nodes that have the session open take it over at once, or
/// within two seconds if they missed it. Of two changes at the same time, the second is made again on top of the first.
///
/// # Narrowed sessions
/// A session that was narrowed from a shared one is served by every gateway as well: the record describes how it was narrowed,
/// and each gateway narrows again. A sub-agent needs nothing but its own handle.
///
/// # Refreshes
/// One gateway fetches the credentials of an account for all, with a lease that it renews. The others take the result from
/// the record. If the gateway is lost, another one fetches within four seconds.
///
/// # Failures
/// | failure | effect |
/// |---|---|
/// | the store is not reached | open sessions continue with what they have; other sessions, and changes, are refused as `Unavailable` |
/// | a clear or a close is not saved | it takes effect on this node at once, which saves it when the store is reached again, also if the session has ended on this node by then |
/// | the store is not reached when a gateway starts | the gateway serves all else, and the sessions as soon as it has reached the store |
/// | the store has lost its last writes | a clear and a close are stored again |
/// | a record was changed, moved, replayed, or belongs to another caller | the session is refused, and that is recorded in the audit log |
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use valetkey_core::Result;
/// use valetkey_mcp::http::{HttpGatewayBuilder, SharedSessions};
/// use valetkey_store::{KeyRing, MemoryStore, RecordLifetime};
///
/// /// Two gateways of one process. Those of several processes have a `RedisStore`.
/// fn share(first: HttpGatewayBuilder, second: HttpGatewayBuilder) -> Result<[HttpGatewayBuilder; 2]> {
///     let lifetime = RecordLifetime { idle: Duration::from_secs(900), total: Duration::from_secs(8 * 3_600) };
///     let shared = SharedSessions::new(MemoryStore::new(), KeyRing::generate()?).lifetime(lifetime);
///     Ok([first.shared_sessions(shared.clone()), second.shared_sessions(shared)])
/// }
/// ```
#[derive(Clone)]
pub struct SharedSessions {
    store: Arc<dyn SessionStore>,
    ring: KeyRing,
    lifetime: RecordLifetime,
    status: Arc<StatusRecorder>,
}

impl SharedSessions {
    /// Returns the sessions that `store` keeps, sealed with `ring`.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_mcp::http::SharedSessions;
    /// # use valetkey_store::{KeyRing, MemoryStore};
    /// let shared = SharedSessions::new(MemoryStore::new(), KeyRing::generate()?);
    /// assert!(format!("{shared:?}").contains("SharedSessions"));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn new(store: impl SessionStore + 'static, ring: KeyRing) -> Self {
        let lifetime =
            RecordLifetime { idle: Duration::from_secs(30 * 60), total: Duration::from_secs(12 * 60 * 60) };
        let status = Arc::new(StatusRecorder::new());
        Self { store: Arc::new(MeteredStore::new(store, Arc::clone(&status))), ring, lifetime, status }
    }

    /// Sets how long a session lasts (default: 30 minutes after its last call on any node, 12 hours in any case).
    ///
    /// The time is measured by the store. A gateway that has the session open ends it earlier if the limits of its own
    /// [registry](super::HttpGatewayBuilder::sessions) are shorter; the next call opens it again from the store.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # use valetkey_mcp::http::SharedSessions;
    /// # use valetkey_store::{KeyRing, MemoryStore, RecordLifetime};
    /// let lifetime = RecordLifetime { idle: Duration::from_secs(900), total: Duration::from_secs(8 * 3_600) };
    /// let shared = SharedSessions::new(MemoryStore::new(), KeyRing::generate()?).lifetime(lifetime);
    /// # drop(shared);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn lifetime(mut self, lifetime: RecordLifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Returns how the gateways with these sessions get on with the store. Clones of a value, and the gateways that were
    /// given one, have one status.
    ///
    /// Calls nothing and waits for nothing, so it may be called for every health check.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_mcp::http::SharedSessions;
    /// fn is_ready(shared: &SharedSessions) -> bool {
    ///     shared.status().unreachable_for.is_none()
    /// }
    /// ```
    #[must_use]
    pub fn status(&self) -> SharedSessionsStatus {
        self.status.snapshot()
    }
}

impl fmt::Debug for SharedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSessions").field("ring", &self.ring).finish_non_exhaustive()
    }
}

/// The shared sessions of a running gateway: the store, and the sessions that this node has open.
pub(super) struct SharedRecords {
    store: Arc<dyn SessionStore>,
    ring: KeyRing,
    lifetime: RecordLifetime,
    status: Arc<StatusRecorder>,
    node: NodeId,
    known: KnownSessions,
    open: Mutex<HashMap<RecordId, OpenRecord>>,
    pending_clears: PendingClears,
    /// Whether this node follows the changes of others. Before that, it opens no session.
    is_following: AtomicBool,
}

/// Refers to an open session and keeps nothing alive.
#[derive(Clone)]
struct OpenRecord {
    local: SessionHandle,
    tenant: Weak<Tenant>,
    session: WeakSession,
    _count: Arc<Counted>,
}

impl SharedRecords {
    /// # Errors
    /// `Internal` when the operating system has no randomness.
    pub(super) fn new(shared: SharedSessions) -> Result<Self> {
        let SharedSessions { store, ring, lifetime, status } = shared;
        Ok(Self {
            store,
            ring,
            lifetime,
            status,
            node: NodeId::random()?,
            known: KnownSessions::new(lifetime.total),
            open: Mutex::default(),
            pending_clears: PendingClears::default(),
            is_following: AtomicBool::new(false),
        })
    }

    /// Fails until this node follows the changes of others: it could serve a session that another node has closed.
    fn check_following(&self) -> Result<(), StoreError> {
        if self.is_following.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(StoreError::Unavailable("the gateway has not reached it yet"))
    }

    fn seal(
        &self,
        record: &SessionRecord,
        generation: RecordGeneration,
        contents: &SessionContents,
    ) -> Result<SealedRecord, StoreError> {
        let bytes = contents.to_bytes()?;
        Ok(self.ring.seal(&record.client, &record.owner, generation, &bytes)?)
    }

    /// Loads and opens a record. The caller has verified the owner.
    async fn load(
        &self,
        client: &ClientHandle,
        owner: &RecordOwner,
    ) -> Result<(SessionContents, RecordGeneration), StoreError> {
        self.check_following()?;
        let sealed = self.known.load(&*self.store, client.id()).await?;
        let bytes = self.ring.open(client, owner, &sealed)?;
        Ok((SessionContents::from_bytes(&bytes)?, sealed.generation()))
    }

    /// Stores the first record of a session.
    async fn create(&self, record: &SessionRecord, contents: &SessionContents) -> Result<(), StoreError> {
        self.check_following()?;
        let sealed = self.seal(record, RecordGeneration::FIRST, contents)?;
        let id = record.client.id();
        self.create_sealed(id, &sealed, self.lifetime).await?;
        self.known.saved(id, RecordGeneration::FIRST, Change::Rotated);
        record.saved(RecordGeneration::FIRST);
        Ok(())
    }

    /// Stores a new record, and repeats that if the outcome is unknown.
    async fn create_sealed(
        &self,
        id: RecordId,
        sealed: &SealedRecord,
        lifetime: RecordLifetime,
    ) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            match self.store.create(id, sealed, lifetime).await {
                Err(error) if error.is_transient() && attempt < MAX_ATTEMPTS => attempt += 1,
                created => return created,
            }
        }
    }

    /// Remembers an open session, and returns the one that was opened first if there is one already.
    fn remember(&self, id: RecordId, opened: &TenantGuard) -> Option<OpenRecord> {
        let added = OpenRecord {
            local: opened.handle(),
            tenant: Arc::downgrade(opened.value()),
            session: opened.downgrade(),
            _count: Arc::new(self.status.count_session()),
        };
        let mut open = self.open.lock();
        let earlier = open.get(&id).filter(|earlier| earlier.is_open()).cloned();
        if earlier.is_none() {
            open.insert(id, added);
        }
        earlier
    }

    fn find_open(&self, id: RecordId) -> Option<OpenRecord> {
        self.open.lock().get(&id).cloned()
    }

    /// Forgets the sessions that have ended on this node. Whether one has is found out without the lock, since that may
    /// close it.
    fn forget_ended(&self) {
        let open: Vec<_> = self.open.lock().iter().map(|(id, open)| (*id, open.clone())).collect();
        for (id, ended) in open.into_iter().filter(|(_, open)| !open.is_open()) {
            let mut open = self.open.lock();
            if open.get(&id).is_some_and(|now| now.local == ended.local) {
                open.remove(&id);
            }
        }
    }
}

impl OpenRecord {
    /// Returns the session and its tenant, unless they have ended.
    fn upgrade(&self) -> Option<(SessionContext, Arc<Tenant>)> {
        Some((self.session.upgrade()?, self.tenant.upgrade()?))
    }

    fn is_open(&self) -> bool {
        self.session.upgrade().is_some_and(|session| !session.is_closed())
    }
}
