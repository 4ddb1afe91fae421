//! Who answers in place of credentials that are set by hand, on an account whose provider does not let them through.

use std::sync::Arc;

use super::State;
use crate::{CredentialProvider, Region};

pub(super) type Provider = Arc<dyn CredentialProvider>;

/// What few accounts have.
#[derive(Default)]
pub(super) struct Rarity {
    pub(super) region: Option<Region>,
    stand_in: Option<Provider>,
}

impl State {
    /// Who answers for the account.
    pub(super) fn answering(&self) -> Option<&Provider> {
        let stand_in = self.rarity.as_ref().and_then(|rarity| rarity.stand_in.as_ref());
        stand_in.or(self.provider.as_ref())
    }

    pub(super) fn provider_to_ask(&self) -> Option<Provider> {
        self.answering().cloned().filter(|_| !self.dormant)
    }

    /// The former one is handed to the caller: its `Drop` is not ours, and no lock must be held.
    #[must_use]
    pub(super) fn replace_stand_in(&mut self, stand_in: Option<Provider>) -> Option<Provider> {
        match (&mut self.rarity, stand_in) {
            (None, None) => None,
            (rarity, stand_in) => std::mem::replace(&mut rarity.get_or_insert_default().stand_in, stand_in),
        }
    }
}
