//! The provider that an account with a guard uses in place of credentials that are set on it.

use std::sync::Arc;

use super::State;
use crate::{AccountGuard, CredentialProvider, Credentials, Region};

pub(super) type Provider = Arc<dyn CredentialProvider>;
pub(super) type Guard = Arc<dyn AccountGuard>;

/// State that few accounts have.
#[derive(Default)]
pub(super) struct ColdState {
    pub(super) region: Option<Region>,
    stand_in: Option<Provider>,
    /// The credentials that the guard's provider exchanges.
    exchanged: Option<Credentials>,
    guard: Option<Guard>,
}

impl State {
    /// Returns the provider that serves the account.
    pub(super) fn active_provider(&self) -> Option<&Provider> {
        let stand_in = self.rarity.as_ref().and_then(|rarity| rarity.stand_in.as_ref());
        stand_in.or(self.provider.as_ref())
    }

    pub(super) fn provider_to_ask(&self) -> Option<Provider> {
        self.active_provider().cloned().filter(|_| !self.dormant)
    }

    pub(super) fn guard(&self) -> Option<Guard> {
        self.rarity.as_ref()?.guard.clone()
    }

    /// Returns the former guard, to be dropped once no lock is held.
    #[must_use]
    pub(super) fn replace_guard(&mut self, guard: Guard) -> Option<Guard> {
        self.rarity.get_or_insert_default().guard.replace(guard)
    }

    #[must_use]
    pub(super) fn take_guard(&mut self) -> Option<Guard> {
        self.rarity.as_mut()?.guard.take()
    }

    /// Returns the former provider. It must be dropped once no lock is held, since its `Drop` is user code.
    #[must_use]
    pub(super) fn replace_stand_in(&mut self, stand_in: Option<Provider>) -> Option<Provider> {
        match (&mut self.rarity, stand_in) {
            (None, None) => None,
            (rarity, stand_in) => {
                let rarity = rarity.get_or_insert_default();
                rarity.exchanged = None;
                std::mem::replace(&mut rarity.stand_in, stand_in)
            }
        }
    }

    /// Returns the credentials that were set on the account and are exchanged instead of served.
    pub(super) fn exchanged(&self) -> Option<&Credentials> {
        self.rarity.as_ref()?.exchanged.as_ref()
    }

    /// Keeps the credentials that the guard's provider exchanges.
    pub(super) fn keep_exchanged(&mut self, credentials: &Credentials) {
        self.rarity.get_or_insert_default().exchanged = Some(credentials.clone());
    }
}
