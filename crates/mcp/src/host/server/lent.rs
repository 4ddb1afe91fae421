//! `CredentialSnapshot`: what a server was started with, which decides whether it must be replaced.

use valetkey_core::{CredentialsVersion, Region};

use super::ServerShared;
use crate::child::Delivery;
use crate::endpoint::Grant;

pub(super) struct CredentialSnapshot {
    /// The credentials that were served at the start.
    pub(super) version: Option<CredentialsVersion>,
    /// Where it was told to be, maybe before any credentials were there.
    region: Option<Region>,
}

impl CredentialSnapshot {
    pub(super) fn take(facts: &ServerShared) -> Self {
        Self {
            version: facts.account.current().map(|served| served.id),
            region: Some(facts.account.resolved_region()),
        }
    }

    /// Whether a server that was started with this and reads from `grant` may hold credentials that are no longer the
    /// session's, or is not where they belong.
    ///
    /// A server may cache what it reads for as long as it likes, so only a renewal of the same credentials leaves it
    /// running. Others, maybe of another account, never reach a process that has read any.
    pub(super) fn is_stale(&self, facts: &ServerShared, grant: Option<&Grant>) -> bool {
        match facts.config.delivery {
            Delivery::None => false,
            Delivery::Env => self.version != facts.account.current().map(|served| served.id),
            Delivery::Endpoint => match facts.account.current() {
                Some(now) => {
                    self.has_other_region(facts) || grant.is_some_and(|grant| !grant.is_renewed_by(now.id))
                }
                // What was invalidated or has expired is fetched again at the next call, and compared then.
                None => facts.account.is_cleared() && grant.is_some_and(Grant::was_used),
            },
        }
    }

    fn has_other_region(&self, facts: &ServerShared) -> bool {
        facts.account.region().is_some_and(|region| self.region.as_ref() != Some(&region))
    }
}
