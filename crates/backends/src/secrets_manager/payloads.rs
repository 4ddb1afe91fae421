//! `Payloads`: what each secret held when it was last read, kept to spare the transfer while its version stays.
//!
//! Not a cache that answers by itself: before a payload is used, the secret is asked whether its version moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use valetkey_core::{AccessKeyId, Clock, Credentials};

/// How many secrets are kept at most; beyond that the one read longest ago goes.
const CAPACITY: usize = 1_000;
/// After this, a secret is read again even if its version stays: whoever may no longer read it learns of it.
const LONGEST_KEPT: Duration = Duration::from_secs(3_600);
/// For how long what was prefetched is taken for current.
const PREFETCHED: Duration = Duration::from_secs(60);

/// The one version of the one secret that a payload was read from.
#[derive(Clone)]
pub(super) struct Stamp {
    /// A secret that is deleted and made anew under its name has another one.
    pub(super) arn: String,
    pub(super) version_id: String,
}

/// What is known of a secret.
#[derive(Clone)]
pub(super) enum Content {
    Payload(Stamp, Credentials),
    /// Read a moment ago, for the one who comes next: it needs no check.
    Prefetched(Stamp, Credentials),
    /// Its reader may get it but not describe it.
    Undescribable,
}

pub(super) struct Payloads {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Moves when everything is forgotten; a read begun before keeps nothing.
    epoch: u64,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    /// Whoever read it. Nobody else gets it.
    reader: AccessKeyId,
    at: SystemTime,
    content: Content,
}

impl Payloads {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Begins a read of one secret by one identity.
    pub(super) fn visit<'a>(&'a self, secret_id: &'a str, reader: &'a AccessKeyId) -> Visit<'a> {
        Visit { payloads: self, secret_id, reader, epoch: self.state().epoch }
    }

    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.entries.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One read of one secret by one identity.
pub(super) struct Visit<'a> {
    payloads: &'a Payloads,
    pub(super) secret_id: &'a str,
    reader: &'a AccessKeyId,
    epoch: u64,
}

impl Visit<'_> {
    /// What is known. What another identity read, or was read too long ago, is dropped.
    pub(super) fn known(&self) -> Option<Content> {
        let now = self.payloads.clock.now();
        let mut state = self.payloads.state();
        let entry = state.entries.get_mut(self.secret_id)?;
        let Some(age) = entry.age(now).filter(|_| entry.reader == *self.reader) else {
            state.entries.remove(self.secret_id);
            return None;
        };
        let known = entry.content.clone();
        if let Content::Prefetched(stamp, credentials) = &known {
            entry.content = Content::Payload(stamp.clone(), credentials.clone());
        }
        Some(if age < PREFETCHED { known } else { entry.content.clone() })
    }

    /// Keeps it, unless all was forgotten since the read began.
    pub(super) fn keep(&self, content: Content) {
        let now = self.payloads.clock.now();
        let entry = Entry { reader: self.reader.clone(), at: now, content };
        let mut state = self.payloads.state();
        if state.epoch != self.epoch {
            return;
        }
        state.entries.retain(|_, entry| entry.age(now).is_some());
        if state.entries.len() >= CAPACITY && !state.entries.contains_key(self.secret_id) {
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.at).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| state.entries.remove(&oldest));
        }
        state.entries.insert(self.secret_id.to_owned(), entry);
    }

    pub(super) fn drop_kept(&self) {
        self.payloads.state().entries.remove(self.secret_id);
    }
}

impl Entry {
    /// `None` once it is too old. A clock that jumped back ends it too.
    fn age(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.at).ok().filter(|age| *age < LONGEST_KEPT)
    }
}
