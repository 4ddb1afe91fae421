//! `KnownSessions`: what one node has seen of each session, so that it never goes back behind a clear or a close.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    Change, RecordError, RecordGeneration, RecordId, RecordVersion, SealedRecord, SessionStore, StoreError,
    StoreEvent, StorePosition,
};

/// What a node has to do about a session, after it has [caught up](KnownSessions::catch_up) with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionNotice {
    /// Another node has changed the session: drop what is held of it, and load it before its next use. After a
    /// [clear](Change::Cleared), calls in flight end.
    Outdated {
        /// The session.
        id: RecordId,
        /// What was changed; [`Change::Cleared`] if that is not known.
        change: Change,
    },
    /// The session has ended: drop what is held of it.
    Ended {
        /// The session.
        id: RecordId,
    },
    /// The store has lost a clear of the session. Do not use what it has. If the contents are held, remove all
    /// credentials from them, and save them as a clear with a later generation than `latest`; otherwise close the session.
    /// Credentials that were set after the clear are lost: other nodes may have cleared those. If the save is superseded,
    /// another node was first: load the session again.
    ClearLost {
        /// The session.
        id: RecordId,
        /// The generation of the record in the store, which the save expects.
        stored: RecordGeneration,
        /// The latest generation that the store or this node has had.
        latest: RecordGeneration,
    },
}

/// What one node has seen of each session: its generation, its last clear, its end. It holds no contents.
///
/// A store may lose its last writes, or be replaced by a copy of itself. A node that has seen a clear or a close does
/// not go back behind it: it refuses what the store then has, and stores the clear or the close again. Changes other than
/// these are accepted as the store has them.
///
/// Take a [position](SessionStore::position) of the store before the first session is loaded, then call
/// [`catch_up`](Self::catch_up) in a loop, with a wait of two seconds at most.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use valetkey_store::{ClientHandle, KnownSessions, MemoryStore, SessionNotice, SessionStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use valetkey_store::{KeyRing, RecordGeneration, RecordLifetime, RecordOwner};
/// # let (handle, lasting) = (ClientHandle::random()?, Duration::from_secs(3_600));
/// # let owner = RecordOwner::new("acme", "alice".parse()?);
/// # let sealed = KeyRing::generate()?.seal(&handle, &owner, RecordGeneration::FIRST, b"contents")?;
/// # let (id, store) = (handle.id(), MemoryStore::new());
/// # store.create(id, &sealed, RecordLifetime { idle: lasting, total: lasting }).await?;
/// let known = KnownSessions::new(Duration::from_secs(8 * 3_600));
/// let mut position = store.position().await?;
/// let record = known.load(&store, id).await?;
/// assert_eq!(record.generation(), RecordGeneration::FIRST);
///
/// // Another node closes the session.
/// store.close(id).await?;
///
/// let notices = known.catch_up(&store, &mut position, Duration::from_secs(2)).await?;
/// assert_eq!(notices, [SessionNotice::Ended { id }]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct KnownSessions {
    sessions: Mutex<HashMap<RecordId, KnownSession>>,
    retention: Duration,
}

#[derive(Debug, Clone, Copy)]
struct KnownSession {
    generation: RecordGeneration,
    cleared: Option<RecordGeneration>,
    state: SessionState,
    seen_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SessionState {
    Open,
    /// This node closes the session, and the store has not confirmed it.
    Closing,
    Ended,
}

impl KnownSession {
    fn new(state: SessionState) -> Self {
        Self { generation: RecordGeneration::new(0), cleared: None, state, seen_at: Instant::now() }
    }
}

impl KnownSessions {
    /// Creates an empty list. A session is forgotten when nothing was seen of it for `retention`, which is at least the
    /// longest lifetime of a session.
    #[must_use]
    pub fn new(retention: Duration) -> Self {
        Self { sessions: Mutex::default(), retention }
    }

    /// Loads a record, and checks that it may be used.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] also after an end of the session that the store has lost; [`RecordError::Replayed`] for
    /// a generation before the latest one that this node has seen; and those of the store.
    pub async fn load(&self, store: &dyn SessionStore, id: RecordId) -> Result<SealedRecord, StoreError> {
        // Before the store is called, so that no event in between is ignored as one of an unknown session.
        self.sessions.lock().entry(id).or_insert_with(|| KnownSession::new(SessionState::Open));
        let loaded = store.load(id).await;
        let mut sessions = self.sessions.lock();
        let known = sessions.entry(id).or_insert_with(|| KnownSession::new(SessionState::Open));
        match loaded {
            Ok(record) => known.admit(record.generation()).map(|()| record),
            Err(error) => {
                // Requests for ids that do not exist must not fill the memory of a node.
                if error == StoreError::NoSession && known.is_unseen() {
                    sessions.remove(&id);
                }
                Err(error)
            }
        }
    }

    /// Remembers a save of this node that the store has confirmed.
    pub fn saved(&self, id: RecordId, generation: RecordGeneration, change: Change) {
        let mut sessions = self.sessions.lock();
        let known = sessions.entry(id).or_insert_with(|| KnownSession::new(SessionState::Open));
        known.see(generation, change);
    }

    /// Remembers that this node closes a session. Call it before the store is called: from then on this node serves the
    /// session no more, and [`catch_up`](Self::catch_up) closes it until the store confirms.
    pub fn closing(&self, id: RecordId) {
        let mut sessions = self.sessions.lock();
        let known = sessions.entry(id).or_insert_with(|| KnownSession::new(SessionState::Closing));
        known.state = SessionState::Closing;
        known.seen_at = Instant::now();
    }

    /// Returns whether this node knows that the session has ended.
    #[must_use]
    pub fn has_ended(&self, id: RecordId) -> bool {
        self.sessions.lock().get(&id).is_some_and(|known| known.state != SessionState::Open)
    }

    /// Reads the events after `position`, for which it waits up to `wait`, moves the position, and returns what this
    /// node has to do. If events are missing, it compares every known session with the store.
    ///
    /// # Errors
    /// Those of the store. The position has not moved: call it again.
    ///
    /// # Cancel safety
    /// A dropped call has not moved the position.
    pub async fn catch_up(
        &self,
        store: &dyn SessionStore,
        position: &mut StorePosition,
        wait: Duration,
    ) -> Result<Vec<SessionNotice>, StoreError> {
        self.close_again(store).await?;
        let batch = store.events_since(position, wait).await?;
        if batch.is_complete {
            *position = batch.position;
            return Ok(self.apply(&batch.events));
        }
        let before: Vec<_> = self.sessions.lock().iter().map(|(id, known)| (*id, *known)).collect();
        let ids: Vec<RecordId> = before.iter().map(|(id, _)| *id).collect();
        let versions = store.versions(&ids).await?;
        let (notices, is_settled) = self.compare(before.into_iter().zip(versions));
        // Otherwise a session has changed meanwhile, and the next call compares it.
        if is_settled {
            *position = batch.position;
        }
        self.close_again(store).await?;
        Ok(notices)
    }

    /// Closes the sessions in the store whose end it has not confirmed, or has lost.
    async fn close_again(&self, store: &dyn SessionStore) -> Result<(), StoreError> {
        let is_closing =
            |(id, known): (&RecordId, &KnownSession)| (known.state == SessionState::Closing).then_some(*id);
        let ids: Vec<RecordId> = self.sessions.lock().iter().filter_map(is_closing).collect();
        for id in ids {
            store.close(id).await?;
            if let Some(known) = self.sessions.lock().get_mut(&id) {
                known.state = SessionState::Ended;
            }
        }
        Ok(())
    }

    fn apply(&self, events: &[StoreEvent]) -> Vec<SessionNotice> {
        let mut sessions = self.sessions.lock();
        sessions.retain(|_, known| known.seen_at.elapsed() < self.retention);
        events.iter().filter_map(|event| apply_event(&mut sessions, event)).collect()
    }

    /// Compares each session that is still as it was before the versions were read, and returns whether all are.
    fn compare(
        &self,
        versions: impl Iterator<Item = ((RecordId, KnownSession), Option<RecordVersion>)>,
    ) -> (Vec<SessionNotice>, bool) {
        let (mut notices, mut is_settled) = (Vec::new(), true);
        let mut sessions = self.sessions.lock();
        for ((id, before), version) in versions {
            match sessions.get_mut(&id) {
                Some(known) if known.is_same(&before) => notices.extend(known.compare(id, version)),
                _ => is_settled = false,
            }
        }
        (notices, is_settled)
    }
}

impl KnownSession {
    fn is_unseen(&self) -> bool {
        self.generation == RecordGeneration::new(0) && self.state == SessionState::Open
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.generation, self.cleared, self.state) == (other.generation, other.cleared, other.state)
    }

    fn admit(&mut self, generation: RecordGeneration) -> Result<(), StoreError> {
        if self.state != SessionState::Open {
            return Err(StoreError::NoSession);
        }
        if generation < self.generation {
            return Err(RecordError::Replayed.into());
        }
        self.generation = generation;
        self.seen_at = Instant::now();
        Ok(())
    }

    fn see(&mut self, generation: RecordGeneration, change: Change) {
        self.generation = self.generation.max(generation);
        self.seen_at = Instant::now();
        if change == Change::Cleared {
            self.cleared = self.cleared.max(Some(generation));
        }
    }

    /// Compares with what the store has, which may have lost its last writes.
    fn compare(&mut self, id: RecordId, version: Option<RecordVersion>) -> Option<SessionNotice> {
        match (self.state, version) {
            (SessionState::Open, None) => {
                self.state = SessionState::Ended;
                Some(SessionNotice::Ended { id })
            }
            (SessionState::Open, Some(version)) => self.compare_open(id, version),
            // The store has lost the end of the session.
            (SessionState::Ended, Some(_)) => {
                self.state = SessionState::Closing;
                None
            }
            (SessionState::Ended | SessionState::Closing, _) => None,
        }
    }

    fn compare_open(&mut self, id: RecordId, stored: RecordVersion) -> Option<SessionNotice> {
        if stored.cleared < self.cleared {
            let latest = self.generation.max(stored.generation);
            self.generation = latest.next();
            return Some(SessionNotice::ClearLost { id, stored: stored.generation, latest });
        }
        if stored.generation == self.generation && stored.cleared == self.cleared {
            return None;
        }
        // An earlier generation is accepted: the store has lost saves, and no clear.
        self.generation = stored.generation;
        self.cleared = stored.cleared;
        Some(SessionNotice::Outdated { id, change: Change::Cleared })
    }
}

/// Events of sessions that this node has not loaded are ignored.
fn apply_event(sessions: &mut HashMap<RecordId, KnownSession>, event: &StoreEvent) -> Option<SessionNotice> {
    match *event {
        StoreEvent::Saved { id, generation, change } => {
            let known = sessions.get_mut(&id).filter(|known| known.generation < generation)?;
            known.see(generation, change);
            (known.state == SessionState::Open).then_some(SessionNotice::Outdated { id, change })
        }
        StoreEvent::Closed { id } => {
            let known = sessions.get_mut(&id)?;
            let was_open = known.state == SessionState::Open;
            known.state = SessionState::Ended;
            was_open.then_some(SessionNotice::Ended { id })
        }
    }
}
