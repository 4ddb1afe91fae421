//! `CallerIdentityCache`: the identity that AWS reports for the credentials of one account, with one call per version.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::SessionAccount;
use crate::cache::CredentialsVersion;
use crate::single_flight::{Callee, Flight, SingleFlight, call_isolated};
use crate::{CallerIdentity, CallerIdentityProvider, Credentials, Result};

/// `None` if the runtime of the timer was shut down.
type LookupResult = Option<Result<CallerIdentity>>;

/// Caches the identity that AWS reports for one account of a session. There is one call for each version of the
/// account's credentials, also for concurrent callers. Rotation, `clear` and `close` invalidate the cached identity.
/// Clones share the cache.
///
/// # Examples
/// ```
/// # use std::borrow::Cow;
/// # use std::sync::Arc;
/// # use valetkey_core::{CallerIdentity, CallerIdentityCache, CallerIdentityProvider, Credentials};
/// # use valetkey_core::{Result, SessionContext, async_trait};
/// # #[derive(Debug)]
/// # struct Lookup;
/// # #[async_trait]
/// # impl CallerIdentityProvider for Lookup {
/// #     fn name(&self) -> Cow<'static, str> { "lookup".into() }
/// #     async fn caller_identity(&self, _: &Credentials) -> Result<CallerIdentity> {
/// #         let arn = "arn:aws:iam::111111111111:user/alice";
/// #         Ok(CallerIdentity::new("111111111111".parse()?, arn, "AIDAEXAMPLE"))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// let session = SessionContext::builder().build();
/// session.set_credentials(credentials)?;
/// let account = session.account(session.default_account())?;
///
/// let identities = CallerIdentityCache::new(account, Arc::new(Lookup));
/// assert_eq!(identities.get().await?.arn(), "arn:aws:iam::111111111111:user/alice");
/// session.close();
/// assert!(identities.get().await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CallerIdentityCache {
    account: SessionAccount,
    lookup: Arc<dyn CallerIdentityProvider>,
    cached: Arc<Mutex<CachedIdentity>>,
}

/// The cached identity, and the version of its credentials. A lookup is held weakly: it owns the credentials, and ends
/// with its last caller.
///
/// A result is cached only if the lookup for its version is still the one in flight, so a slow lookup for earlier
/// credentials never replaces the identity of later ones.
#[derive(Default)]
enum CachedIdentity {
    #[default]
    Empty,
    InFlight(CredentialsVersion, SingleFlight<LookupResult>),
    Identity(CredentialsVersion, CallerIdentity),
}

impl CallerIdentityCache {
    /// Creates an empty cache.
    ///
    /// The cache does not keep the session alive. The first [`get`](Self::get) calls `lookup`, and so does the
    /// first one after each change of the credentials.
    #[must_use]
    pub fn new(account: SessionAccount, lookup: Arc<dyn CallerIdentityProvider>) -> Self {
        Self { account, lookup, cached: Arc::default() }
    }

    /// Returns the identity of the account's credentials, which are fetched first if necessary. All waiting callers
    /// receive a failure, which is not cached.
    ///
    /// # Errors
    /// As [`SessionAccount::credentials`]. Also `Closed` or `NotConfigured` if the session was closed or cleared during
    /// the lookup, `TimedOut` after the load timeout of the session's policy, and the errors of the lookup.
    pub async fn get(&self) -> Result<CallerIdentity> {
        loop {
            self.account.credentials().await?;
            // `None` if the account was cleared meanwhile. The next iteration reports it.
            let Some(credentials) = self.account.cache()?.current() else { continue };
            let limit = self.account.session()?.shared.policy().load_timeout;
            let caller = match self.identity_or_lookup(&credentials, limit) {
                Ok(cached) => cached,
                Err(lookup) => match self.store(credentials.metadata().id, lookup.await) {
                    Some(result) => result?,
                    None => continue,
                },
            };
            if self
                .account
                .cache()?
                .current()
                .is_some_and(|now| now.metadata().id == credentials.metadata().id)
            {
                return Ok(caller);
            }
        }
    }

    /// Returns the identity of these credentials, or the lookup that will return it.
    ///
    /// The lookup is started under the lock, and driven outside it: concurrent callers join the same one.
    fn identity_or_lookup(
        &self,
        current: &Credentials,
        limit: Duration,
    ) -> Result<CallerIdentity, Flight<LookupResult>> {
        let (mut cached, id) = (self.lock_cached(), current.metadata().id);
        match &*cached {
            CachedIdentity::Identity(version, caller) if *version == id => return Ok(caller.clone()),
            CachedIdentity::InFlight(version, lookup) if *version == id => {
                if let Some(lookup) = lookup.in_flight() {
                    return Err(lookup);
                }
            }
            _ => {}
        }
        let mut single = SingleFlight::default();
        let lookup = single.start(look_up(Arc::clone(&self.lookup), current.clone(), limit));
        *cached = CachedIdentity::InFlight(id, single);
        Err(lookup)
    }

    /// Caches the result, unless a lookup for another version was started meanwhile.
    fn store(&self, version: CredentialsVersion, result: LookupResult) -> LookupResult {
        let mut cached = self.lock_cached();
        if matches!(&*cached, CachedIdentity::InFlight(started, _) if *started == version) {
            *cached = match &result {
                Some(Ok(caller)) => CachedIdentity::Identity(version, caller.clone()),
                _ => CachedIdentity::Empty,
            };
        }
        result
    }

    fn lock_cached(&self) -> MutexGuard<'_, CachedIdentity> {
        self.cached.lock()
    }
}

/// Calls the provider within `limit`. A panic of the provider becomes an error.
async fn look_up(
    provider: Arc<dyn CallerIdentityProvider>,
    credentials: Credentials,
    limit: Duration,
) -> LookupResult {
    let callee = Callee { role: "caller lookup", name: || provider.name() };
    call_isolated(callee, limit, async { provider.caller_identity(&credentials).await }).await
}

impl fmt::Debug for CallerIdentityCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerIdentityCache")
            .field("account", self.account.account_name())
            .finish_non_exhaustive()
    }
}
