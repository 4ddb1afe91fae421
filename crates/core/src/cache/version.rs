//! Versions of credentials: generations and renewal chains, and the channel on which a cache announces them. No secrets
//! are compared.

use std::fmt;

use serde::Serialize;
use tokio::sync::watch;

use crate::Credentials;

/// Counts the versions of an account's credentials. It grows whenever credentials are issued or set, and with each
/// clear; not when a provider returns the same credentials again.
///
/// Generations of one account can be compared; those of different accounts are unrelated.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, SessionContext};
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// let first = session.set_credentials(credentials.clone())?;
/// session.clear();
/// let second = session.set_credentials(credentials)?;
/// assert_eq!((first.get(), second.get()), (1, 3), "the clear is generation 2");
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    /// Returns the generation that follows.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the number.
    ///
    /// Zero before the first credentials. It is what status and audit records show.
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
///
/// The number comes from a counter of the family. The default, zero, stands for no clear: no chain is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct RenewalChain(u64);

impl RenewalChain {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Identifies a version of credentials within its session and the session's family.
///
/// A consumer that keeps a copy of credentials keeps their version with it, to decide later whether the copy is out
/// of date, and why.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, SessionContext};
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// session.set_credentials(credentials.clone())?;
/// let copied = session.current().expect("credentials were set").id;
///
/// session.set_credentials(credentials)?;
/// let current = session.current().expect("credentials were set").id;
/// assert!(current.generation() > copied.generation());
/// assert!(!current.is_renewal_of(copied), "they may belong to another identity");
/// # Ok::<_, valetkey_core::Error>(())
/// ```
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

    /// Returns whether the credentials were published in `chain`.
    pub(crate) fn belongs_to(self, chain: RenewalChain) -> bool {
        self.chain == chain
    }

    /// Returns whether the credentials were published before `chain` began. Only chains of one family can be
    /// compared.
    pub(crate) fn is_before(self, chain: RenewalChain) -> bool {
        self.chain < chain
    }

    /// Returns the generation within the account.
    #[must_use]
    pub fn generation(self) -> Generation {
        self.generation
    }

    /// Returns whether this version is a refresh of `earlier`: the same provider issued both, without interruption.
    ///
    /// A consumer such as an SDK client may continue with a renewal. Other credentials may belong to another
    /// identity, so what was built with the earlier ones must be built again.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::testing::{Script, ScriptedProvider};
    /// # use valetkey_core::{Credentials, SessionContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> valetkey_core::Result<()> {
    /// # let key = |id: &str| Credentials::builder(id.parse()?, "example".into()).build();
    /// # let first = key("ASIAIOSFODNN7EXAMPLE")?;
    /// # let second = key("ASIAI44QH8DHBEXAMPLE")?;
    /// let provider = ScriptedProvider::new([Script::Answer(first), Script::Answer(second)]);
    /// let session = SessionContext::builder().provider(provider).build();
    /// session.refresh().await?;
    /// let earlier = session.current().expect("credentials were fetched").id;
    /// session.refresh().await?;
    /// let later = session.current().expect("credentials were fetched").id;
    /// assert!(later.is_renewal_of(earlier));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_renewal_of(self, earlier: Self) -> bool {
        self.chain == earlier.chain && self.generation > earlier.generation
    }
}

/// Credentials that can be served now, with their version.
///
/// # Examples
/// ```
/// # use valetkey_core::{Credentials, SessionContext};
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// session.set_credentials(credentials)?;
/// let current = session.current().expect("credentials were set");
/// assert_eq!(current.credentials.access_key_id().last_four(), "MPLE");
/// assert_eq!(current.id.generation().get(), 1);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
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

/// A watch channel that exists only while there are receivers.
///
/// The owner keeps it under a lock, so that subscribing and sending are ordered. Most sessions have no watcher, and
/// pay for no channel.
pub(crate) struct LazyWatch<T>(Option<watch::Sender<T>>);

impl<T> LazyWatch<T> {
    /// Subscribes to the channel, which starts with the value `now`.
    pub(crate) fn subscribe(&mut self, now: T) -> watch::Receiver<T> {
        self.0.get_or_insert_with(|| watch::Sender::new(now)).subscribe()
    }

    /// Sends `value`, and drops the channel when no receivers are left.
    pub(crate) fn notify(&mut self, value: T) {
        self.0 = self.0.take().filter(|sender| sender.send(value).is_ok());
    }
}

impl<T> Default for LazyWatch<T> {
    fn default() -> Self {
        Self(None)
    }
}
