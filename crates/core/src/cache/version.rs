//! Versions of credentials: generations and renewal chains. No secrets are compared.

use std::fmt;

use serde::Serialize;

use crate::Credentials;

/// Counts the versions of an account's credentials. It grows whenever credentials are issued or set, and with each
/// clear; not when a provider returns the same credentials again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    pub(crate) fn next(self) -> Self {
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

/// Identifies a sequence of refreshes: credentials of the same chain come from one provider and one identity.
/// Credentials that are set directly, a clear, an invalidation or a rejected key begin a new chain.
///
/// Within a family, a later chain is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct RenewalChain(u64);

impl RenewalChain {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Identifies a version of credentials within its session and the session's family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialsVersion {
    chain: RenewalChain,
    generation: Generation,
}

impl CredentialsVersion {
    /// Identifies no credentials of any session: generations count from one.
    pub(crate) const UNSET: Self = Self { chain: RenewalChain(0), generation: Generation(0) };

    pub(crate) fn new(chain: RenewalChain, generation: Generation) -> Self {
        Self { chain, generation }
    }

    pub(crate) fn belongs_to(self, chain: RenewalChain) -> bool {
        self.chain == chain
    }

    pub(crate) fn is_before(self, chain: RenewalChain) -> bool {
        self.chain < chain
    }

    /// Returns the generation within the account.
    #[must_use]
    pub fn generation(self) -> Generation {
        self.generation
    }

    /// Returns whether this version is a refresh of `earlier`: the same provider issued both, without interruption.
    #[must_use]
    pub fn is_renewal_of(self, earlier: Self) -> bool {
        self.chain == earlier.chain && self.generation > earlier.generation
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

/// Reported by a cache to its watchers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RotationState {
    pub(crate) generation: Generation,
    /// The cache was closed: no other generation follows.
    pub(crate) closed: bool,
}
