//! The desk: what is known of each id, and the lookups under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::{Mutex, MutexGuard};

use crate::attempt::{Callee, call_isolated};
use crate::{Clock, CredentialId, CredentialResolver, Credentials, Error, ErrorKind, Result};

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(20);
/// An answer is not kept into the end of its life.
const LEAST_LIFE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) resolver: Arc<dyn CredentialResolver>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ttl: Duration,
    pub(super) capacity: usize,
}

pub(super) struct Desk {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Moves when everything is forgotten; a lookup begun before keeps nothing.
    epoch: u64,
    entries: BTreeMap<CredentialId, Entry>,
    rng: fastrand::Rng,
}

/// What is known of an id since `at`.
struct Entry {
    at: SystemTime,
    content: Content,
}

enum Content {
    UnderWay(WeakLookup),
    Answered { answer: Result<Credentials>, lasts: Duration },
}

/// One future that any of its waiters can drive. Only weakly held here: when nobody waits any more, it ends.
type Lookup = Shared<BoxFuture<'static, Option<Result<Credentials>>>>;
type WeakLookup = WeakShared<BoxFuture<'static, Option<Result<Credentials>>>>;

/// What a caller does next.
pub(super) enum Known {
    Answer(Result<Credentials>),
    Lookup(Lookup),
}

impl Desk {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The answer that is kept, else the lookup under way, else a new one.
    pub(super) fn known(self: &Arc<Self>, id: &CredentialId) -> Known {
        let now = self.settings.clock.now();
        let mut state = self.state();
        if let Some(known) = state.entries.get(id).and_then(|entry| entry.known(now)) {
            return known;
        }
        let lookup = Arc::clone(self).look_up(id.clone(), state.epoch).boxed().shared();
        let content = lookup.downgrade().map(Content::UnderWay);
        let former = self.put(&mut state, id, content.map(|content| Entry { at: now, content }), now);
        drop(state);
        drop(former);
        Known::Lookup(lookup)
    }

    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.epoch += 1;
        let former = std::mem::take(&mut state.entries);
        drop(state);
        // Outside the lock, as the causes of a failure are not ours.
        drop(former);
    }

    /// One lookup; none when the runtime that kept its time is gone, so that whoever waits elsewhere begins another.
    async fn look_up(self: Arc<Self>, id: CredentialId, epoch: u64) -> Option<Result<Credentials>> {
        let resolver = &self.settings.resolver;
        let worker = Callee { role: "resolver", name: || resolver.name() };
        let answer = call_isolated(worker, LOOKUP_TIMEOUT, async { resolver.resolve(&id).await }).await;
        match &answer {
            Some(answer) => self.conclude(&id, epoch, answer),
            None => self.abandon(&id, epoch),
        }
        answer
    }

    fn abandon(&self, id: &CredentialId, epoch: u64) {
        let mut state = self.state();
        let former = if state.epoch == epoch { state.entries.remove(id) } else { None };
        drop(state);
        drop(former);
    }

    /// Keeps the answer, unless all was forgotten meanwhile.
    fn conclude(&self, id: &CredentialId, epoch: u64, answer: &Result<Credentials>) {
        let now = self.settings.clock.now();
        let mut state = self.state();
        if state.epoch != epoch {
            return;
        }
        let lasts = match answer {
            Ok(credentials) => lasts(credentials, self.settings.ttl, now),
            Err(error) if is_refusal(error) => Duration::from_millis(state.rng.u64(1_000..=5_000)),
            Err(_) => Duration::ZERO,
        };
        let content = Content::Answered { answer: answer.clone(), lasts };
        let entry = (!lasts.is_zero()).then_some(Entry { at: now, content });
        let former = self.put(&mut state, id, entry, now);
        drop(state);
        drop(former);
    }

    /// What has to go is returned, to be dropped outside the lock: what was known of the id, what has had its time, and
    /// the oldest if there are too many.
    fn put(&self, state: &mut State, id: &CredentialId, entry: Option<Entry>, now: SystemTime) -> Vec<Entry> {
        let entries = &mut state.entries;
        let mut former: Vec<_> = entries.remove(id).into_iter().collect();
        former.extend(entries.extract_if(.., |_, entry| entry.has_lapsed(now)).map(|(_, entry)| entry));
        let Some(entry) = entry else { return former };
        while entries.len() >= self.settings.capacity {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.at).map(|(id, _)| id.clone());
            let Some(oldest) = oldest.and_then(|oldest| entries.remove(&oldest)) else { return former };
            former.push(oldest);
        }
        entries.insert(id.clone(), entry);
        former
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Entry {
    /// What can be had of it now.
    fn known(&self, now: SystemTime) -> Option<Known> {
        match &self.content {
            Content::UnderWay(lookup) => lookup.upgrade().map(Known::Lookup),
            Content::Answered { answer, .. } => {
                (!self.has_lapsed(now)).then(|| Known::Answer(answer.clone()))
            }
        }
    }

    /// Whether it was an answer and has had its time. A clock that jumped back ends it too.
    fn has_lapsed(&self, now: SystemTime) -> bool {
        match &self.content {
            Content::UnderWay(_) => false,
            Content::Answered { lasts, .. } => now.duration_since(self.at).map_or(true, |age| age >= *lasts),
        }
    }
}

fn lasts(credentials: &Credentials, ttl: Duration, now: SystemTime) -> Duration {
    match credentials.expiry().remaining(now) {
        Some(remaining) => ttl.min(remaining.saturating_sub(LEAST_LIFE)),
        None => ttl,
    }
}

/// Whether another lookup of the id would only repeat the failure, or ask a person again.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::InteractionRequired)
}
