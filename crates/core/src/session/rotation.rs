//! Versions of credentials: generations, lineages, and a watch of them. No secrets are compared.

use std::fmt;
use std::sync::{Arc, Weak};

use serde::Serialize;
use tokio::sync::watch;

use super::bounds;
use super::family::SessionInner;
use crate::{AccountName, Credentials, Result};

/// Counts the versions of an account's credentials. It grows whenever credentials are issued or set, and with each
/// clear; not when a provider returns the same credentials again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    pub(super) fn next_state(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the number.
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

/// Identifies a sequence of refreshes: credentials of the same lineage come from one provider and one identity.
/// Credentials that are set directly, a clear, an invalidation or a rejected key begin a new lineage.
///
/// Within a family, a later lineage is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct RenewalChain(u64);

impl RenewalChain {
    pub(super) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Identifies a version of credentials within its session and the session's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialsVersion {
    lineage: RenewalChain,
    generation: Generation,
}

impl CredentialsVersion {
    /// Identifies no credentials of any session: generations count from one.
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

    /// Returns the generation within the account.
    #[must_use]
    pub fn generation(self) -> Generation {
        self.generation
    }

    /// Returns whether this version is a refresh of `earlier`: the same provider issued both, without interruption.
    #[must_use]
    pub fn is_renewal_of(self, earlier: Self) -> bool {
        self.lineage == earlier.lineage && self.generation > earlier.generation
    }
}

/// Credentials that can be served now, with their version.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CurrentCredentials {
    /// The credentials.
    pub credentials: Credentials,
    /// The version of the credentials.
    pub id: CredentialsVersion,
}

/// Watches the credentials of one account. Created by [`SessionContext::watch_rotations`](super::SessionContext::watch_rotations).
/// An inherited account is followed to the session that serves it.
#[derive(Debug, Clone)]
pub struct RotationWatcher {
    session: Weak<SessionInner>,
    alias: AccountName,
    reshaped: watch::Receiver<()>,
    /// The slot that serves the account; `None` after that slot was cleared and removed.
    slot: Option<watch::Receiver<RotationState>>,
}

/// Announced by a slot: the current generation, and whether it is the last.
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

    /// Returns the current generation; the initial generation once no slot serves the account.
    #[must_use]
    pub fn current(&self) -> Generation {
        self.slot.as_ref().map(|slot| slot.borrow().generation).unwrap_or_default()
    }

    /// Waits until the served credentials change or are cleared, or another session of the family serves the account.
    /// Returns `None` once the session is closed. Several changes may be reported as one.
    ///
    /// # Cancel safety
    /// Dropping the future loses no change.
    pub async fn changed(&mut self) -> Option<Generation> {
        while self.is_open() {
            tokio::select! {
                biased;
                announced = next(&mut self.slot) => {
                    if !announced?.last {
                        return Some(self.current());
                    }
                    // The slot may belong to a parent: the session itself reports what its end means here.
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

    /// Switches to the slot that serves the account now, and returns whether it is a different one; `None` at the end.
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

/// Returns the next announcement; waits forever without a slot. `None` when the slot is gone.
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
