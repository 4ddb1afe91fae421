//! `CredentialSnapshot`: the credentials and the region that a server was started with, which determine whether it must
//! be replaced.

use valetkey_core::{CredentialsVersion, Region};

use super::ServerShared;
use crate::child::Delivery;
use crate::endpoint::Grant;

pub(super) struct CredentialSnapshot {
    /// The credentials that the account served at the start.
    pub(super) version: Option<CredentialsVersion>,
    /// The region that the server was started with. The account may have had no credentials yet.
    region: Option<Region>,
}

impl CredentialSnapshot {
    pub(super) fn take(facts: &ServerShared) -> Self {
        Self {
            version: facts.account.current().map(|served| served.id),
            region: Some(facts.account.resolved_region()),
        }
    }

    /// Whether a server that was started with this snapshot and reads from `grant` may hold credentials that the
    /// session no longer has, or runs in another region than they belong to.
    ///
    /// A server may cache the credentials it reads for any time, so it keeps running only after a renewal of the same
    /// credentials. Other credentials, possibly of another AWS account, never reach a process that has read earlier
    /// ones.
    pub(super) fn is_stale(&self, facts: &ServerShared, grant: Option<&Grant>) -> bool {
        match facts.config.delivery {
            Delivery::None => false,
            Delivery::Env => self.version != facts.account.current().map(|served| served.id),
            Delivery::Endpoint => match facts.account.current() {
                Some(now) => {
                    self.has_other_region(facts) || grant.is_some_and(|grant| !grant.is_renewed_by(now.id))
                }
                // Invalidated or expired credentials are fetched again at the next call, and compared then.
                None => facts.account.is_cleared() && grant.is_some_and(Grant::was_used),
            },
        }
    }

    fn has_other_region(&self, facts: &ServerShared) -> bool {
        facts.account.region().is_some_and(|region| self.region.as_ref() != Some(&region))
    }
}
