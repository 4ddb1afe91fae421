//! What tells one set from the next: generations, lineages, and a watch of them, never of secrets.

use std::fmt;
use std::sync::{Arc, Weak};

use serde::Serialize;
use tokio::sync::watch;

use super::bounds;
use super::family::SessionInner;
use crate::{AccountName, Credentials, Result};

/// The number of a set within its account. It grows with each set that is issued or set, and with each clearing; not
/// when a provider answers what it answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    pub(super) fn next_state(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Sets of one lineage continue each other: they are refreshes by one provider, of one identity. Whatever else comes
/// between (a set by hand, a clearing, a withdrawal, a rejected key) begins another.
///
/// Within a family, a later lineage is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct RenewalChain(u64);

impl RenewalChain {
    pub(super) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Tells a set from every other of its session and of the session's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialsVersion {
    lineage: RenewalChain,
    generation: Generation,
}

impl CredentialsVersion {
    /// Of a set that no session holds: generations count from one.
    pub(super) const UNSET: Self = Self { lineage: RenewalChain(0), generation: Generation(0) };

    pub(super) fn new(lineage: RenewalChain, generation: Generation) -> Self {
        Self { lineage, generation }
    }

    pub(super) fn belongs_to(self, lineage: RenewalChain) -> bool {
        self.lineage == lineage
    }

    pub(super) fn is_before(self, lineage: RenewalChain) -> bool {
        self.lineage < lineage
    }

    /// The set's number within its account.
    #[must_use]
    pub fn generation(self) -> Generation {
        self.generation
    }

    /// Whether this set merely renews `earlier`: the same provider issued both, and nothing came in between.
    #[must_use]
    pub fn is_renewal_of(self, earlier: Self) -> bool {
        self.lineage == earlier.lineage && self.generation > earlier.generation
    }
}

/// A set that is served now, and what tells it from others.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CurrentCredentials {
    /// The set.
    pub credentials: Credentials,
    /// What tells it from others.
    pub id: CredentialsVersion,
}

/// Follows what one account serves; made by [`SessionContext::watch_rotations`](super::SessionContext::watch_rotations). An account
/// that is inherited is followed to wherever it is answered.
#[derive(Debug, Clone)]
pub struct RotationWatcher {
    session: Weak<SessionInner>,
    alias: AccountName,
    reshaped: watch::Receiver<()>,
    /// The slot that answers; none after it was cleared away from under the account.
    slot: Option<watch::Receiver<RotationState>>,
}

/// What a slot announces: the generation now, and whether it is the last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RotationState {
    pub(super) generation: Generation,
    pub(super) last: bool,
}

impl RotationWatcher {
    pub(super) fn of(session: &Arc<SessionInner>, alias: &AccountName) -> Result<Self> {
        let reshaped = session.subscribe_topology();
        let slot = session.account_cache(alias)?.subscribe();
        Ok(Self { session: Arc::downgrade(session), alias: alias.clone(), reshaped, slot: Some(slot) })
    }

    /// The generation now; that of an account that has never held anything when nothing answers for it any more.
    #[must_use]
    pub fn current(&self) -> Generation {
        self.slot.as_ref().map(|slot| slot.borrow().generation).unwrap_or_default()
    }

    /// Waits until another set is served, or none, or the account is answered by another session of the family;
    /// `None` once the session is closed. Several changes may be told as one. Cancel safe.
    pub async fn changed(&mut self) -> Option<Generation> {
        while self.is_open() {
            tokio::select! {
                biased;
                announced = next(&mut self.slot) => {
                    if !announced?.last {
                        return Some(self.current());
                    }
                    // Perhaps a parent's: what it means here is told by the session itself.
                    self.slot = None;
                }
                () = bounds::wait_expired(&self.session) => {}
                open = self.reshaped.changed() => {
                    open.ok()?;
                    if self.rebind()? {
                        return Some(self.current());
                    }
                }
            }
        }
        None
    }

    fn is_open(&self) -> bool {
        self.session.upgrade().is_some_and(|session| !session.is_closed())
    }

    /// Follows the account to the slot that answers now, and says whether that is another; `None` at the end.
    fn rebind(&mut self) -> Option<bool> {
        let session = self.session.upgrade().filter(|session| !session.is_closed())?;
        let slot = session.account_cache(&self.alias).ok().map(|slot| slot.subscribe());
        let same = match (&self.slot, &slot) {
            (Some(before), Some(now)) => before.same_channel(now),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.slot = slot;
        }
        Some(!same)
    }
}

/// The next announcement; never, when there is nobody to make one. `None` when the slot is gone.
async fn next(slot: &mut Option<watch::Receiver<RotationState>>) -> Option<RotationState> {
    match slot {
        Some(slot) if slot.borrow().last => Some(*slot.borrow()),
        Some(slot) => {
            slot.changed().await.ok()?;
            Some(*slot.borrow_and_update())
        }
        None => std::future::pending().await,
    }
}
