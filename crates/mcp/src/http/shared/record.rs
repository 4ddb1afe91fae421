//! `SessionRecord`: the record in the store behind one open session.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use valetkey_store::{ClientHandle, RecordGeneration, RecordId, RecordOwner};

use crate::http::auth::VerifiedCaller;
use crate::http::session_key::SessionKey;

/// The handle and the owner with which the record is sealed, and how far this node has followed it.
///
/// | state | meaning |
/// |---|---|
/// | generation | that of the record which the session on this node has; the next save expects it |
/// | changes, loaded | events of other nodes, and how many of them a load has included; a call waits for the rest |
/// | restorations | a call whose change may have been undone meanwhile is made again |
pub(in crate::http) struct SessionRecord {
    pub(super) client: ClientHandle,
    pub(super) owner: RecordOwner,
    state: Mutex<RecordState>,
    /// Counts how often this node has made the session what the record says. Held meanwhile, so that a call can tell
    /// whether its change may have been undone.
    restorations: Mutex<u64>,
}

struct RecordState {
    /// The generation that the session on this node has.
    generation: RecordGeneration,
    /// How often another node was seen to change the record, and how many of these changes this node has loaded.
    changes: u64,
    loaded: u64,
    is_used: bool,
    touched_at: Instant,
}

impl SessionRecord {
    pub(super) fn new(client: ClientHandle, caller: &VerifiedCaller) -> Self {
        let owner = RecordOwner::new(caller.statements_digest(), caller.principal().clone());
        let state = RecordState {
            generation: RecordGeneration::new(0),
            changes: 0,
            loaded: 0,
            is_used: false,
            touched_at: Instant::now(),
        };
        Self { client, owner, state: Mutex::new(state), restorations: Mutex::new(0) }
    }

    pub(super) fn id(&self) -> RecordId {
        self.client.id()
    }

    pub(in crate::http) fn key(&self) -> SessionKey {
        SessionKey::Shared(self.client.clone())
    }

    /// Returns the generation that the next save of this node expects.
    pub(super) fn generation(&self) -> RecordGeneration {
        self.state.lock().generation
    }

    /// Remembers a save of this node.
    pub(super) fn saved(&self, generation: RecordGeneration) {
        self.state.lock().generation = generation;
    }

    /// Remembers that another node has changed the record.
    pub(super) fn mark_changed(&self) {
        self.state.lock().changes += 1;
    }

    /// Remembers that another node has cleared the record, and clears the session in the same step. A load that includes
    /// this change therefore restores the session after `clear`, and a call that has changed the session is made again.
    pub(super) fn mark_cleared(&self, clear: impl FnOnce()) {
        self.restore(|| {
            self.mark_changed();
            clear();
            true
        });
    }

    /// Returns the number of changes that a load which begins now includes.
    pub(super) fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// Returns the number of changes that a load which begins now includes, or `None` if all were loaded.
    pub(super) fn missing_changes(&self) -> Option<u64> {
        let state = self.state.lock();
        (state.loaded != state.changes).then_some(state.changes)
    }

    /// Makes the session what a load has found. Changes that were reported since the load began remain missing. `restore`
    /// returns whether it has changed the session.
    pub(super) fn loaded(&self, generation: RecordGeneration, changes: u64, restore: impl FnOnce() -> bool) {
        self.restore(|| {
            {
                let mut state = self.state.lock();
                state.generation = generation;
                state.loaded = changes;
            }
            restore()
        });
    }

    pub(super) fn restore(&self, restore: impl FnOnce() -> bool) {
        let mut restorations = self.restorations.lock();
        if restore() {
            *restorations += 1;
        }
    }

    /// Calls `describe` while the session is not being restored, and returns the number of restorations before.
    pub(super) fn describe<T>(&self, describe: impl FnOnce() -> T) -> (u64, T) {
        let restorations = self.restorations.lock();
        (*restorations, describe())
    }

    /// Remembers a call, which prolongs the session.
    pub(super) fn mark_used(&self) {
        self.state.lock().is_used = true;
    }

    /// Returns whether the idle time in the store must start again: the session was used, and `interval` has passed.
    pub(super) fn take_due_touch(&self, interval: Duration) -> bool {
        let mut state = self.state.lock();
        let is_due = state.is_used && state.touched_at.elapsed() >= interval;
        if is_due {
            state.is_used = false;
            state.touched_at = Instant::now();
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn load_during_clear_restores_session_after_it() {
        let caller = VerifiedCaller::new("alice".parse().unwrap());
        let record = SessionRecord::new(ClientHandle::random().unwrap(), &caller);
        let (steps, log) = mpsc::channel();
        thread::scope(|scope| {
            let (begin, begun) = mpsc::channel();
            record.mark_cleared(|| {
                let (record, steps) = (&record, steps.clone());
                let load_steps = steps.clone();
                scope.spawn(move || {
                    let changes = record.missing_changes().unwrap();
                    begin.send(()).unwrap();
                    record.loaded(RecordGeneration::FIRST, changes, || load_steps.send("restored").is_ok());
                });
                begun.recv().unwrap();
                // The load has begun. It must not end before the clear.
                thread::yield_now();
                steps.send("cleared").unwrap();
            });
        });
        drop(steps);
        assert_eq!(log.iter().collect::<Vec<_>>(), ["cleared", "restored"]);
        assert_eq!(record.missing_changes(), None);
    }
}
