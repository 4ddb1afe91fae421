//! `Lent`: what a server was started with, which decides whether it must be replaced.

use valetkey_core::{Region, SetId};

use super::Facts;
use crate::child::Delivery;

pub(super) struct Lent {
    set: Option<SetId>,
    /// Where it was told to be, maybe before any credentials were there.
    region: Option<Region>,
}

impl Lent {
    pub(super) fn now(facts: &Facts) -> Self {
        Self { set: facts.account.served().map(|served| served.id), region: facts.account.region() }
    }

    /// Whether a server that was started with this holds keys that are no longer the session's, or is not where they
    /// belong.
    pub(super) fn is_outdated(&self, facts: &Facts) -> bool {
        let now = Self::now(facts);
        match facts.config.delivery {
            Delivery::None => false,
            Delivery::Env => self.set != now.set,
            // Clearing takes no server away: its endpoint refuses it.
            Delivery::Endpoint => {
                facts.account.served().is_some() && now.region.is_some() && self.region != now.region
            }
        }
    }
}
