//! `NarrowedSessionCache`: keeps a narrowed child session per account and policy, in moka.
//!
//! moka drops values some time after they are removed, and a child must end at once. So a child is taken out of its
//! cache entry when the entry is evicted, replaced, or dropped with the cache.

use std::fmt;
use std::sync::{Arc, OnceLock};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;

use crate::session::{SessionAccount, SessionContext, error};
use crate::{AccountName, PolicyDigest, Result, SessionId, SessionPolicy};

/// The maximum number of children kept. The credentials of each child are refreshed while its session is kept warm.
const MAX_NARROWED_SESSIONS: u64 = 32;

/// Keeps narrowed child sessions by account and policy, for tools that each run under a policy of their own.
///
/// A tool that narrowed its session in each call would make AWS issue new credentials for each call. Here a child is
/// created at its first use, and again after it has ended with a clear or with its session. At most 32 children are
/// kept. Beyond that, the least recently used child is dropped, and ends when the last call that uses it returns.
///
/// The owner of the tools holds this value. It keeps no session open.
///
/// # Examples
/// ```
/// # use valetkey_core::{NarrowedSessionCache, Result, SessionContext, SessionPolicy};
/// # async fn demo(session: SessionContext) -> Result<()> {
/// let scopes = NarrowedSessionCache::default();
/// let reading = SessionPolicy::read_only(["s3"])?;
///
/// // In each call of the tool:
/// let account = session.account(session.default_account())?;
/// let narrowed = scopes.get_or_narrow(&account, &reading)?;
/// narrowed.credentials().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct NarrowedSessionCache {
    /// Created with the first child: an empty cache takes 32 KiB.
    children: OnceLock<Cache<NarrowKey, Arc<CachedChild>>>,
    /// What the cache removed. It calls its listener under locks of its own, and the end of a child may run user code:
    /// so children end after the call to the cache.
    removed: Arc<Mutex<Vec<Arc<CachedChild>>>>,
}

/// A kept child; `None` once it was removed.
struct CachedChild(Mutex<Option<SessionContext>>);

/// The policy is compared by its digest, which is equal for all spellings of one policy.
#[derive(PartialEq, Eq, Hash)]
struct NarrowKey {
    session: SessionId,
    account: AccountName,
    policy: PolicyDigest,
}

impl NarrowedSessionCache {
    /// Returns a child of the account's session that has this account only, restricted to what `policy` allows. Equal
    /// arguments return the same child for as long as it is open.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`]; no child is kept then.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{NarrowedSessionCache, Result, SessionAccount, SessionPolicy};
    /// # fn demo(scopes: &NarrowedSessionCache, account: &SessionAccount) -> Result<()> {
    /// let reading = SessionPolicy::read_only(["s3"])?;
    /// let first = scopes.get_or_narrow(account, &reading)?;
    /// assert_eq!(scopes.get_or_narrow(account, &reading)?.id(), first.id());
    ///
    /// first.close();
    /// assert_ne!(scopes.get_or_narrow(account, &reading)?.id(), first.id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_or_narrow(&self, account: &SessionAccount, policy: &SessionPolicy) -> Result<SessionContext> {
        let session = account.session_id().ok_or_else(error::closed)?;
        let key = NarrowKey { session, account: account.account_name().clone(), policy: policy.digest() };
        let children = self.children();
        if let Some(open) = children.get(&key).and_then(|child| child.open_session()) {
            return Ok(open);
        }
        let child = account.narrow(policy.clone())?;
        children.insert(key, Arc::new(CachedChild(Mutex::new(Some(child.clone())))));
        self.end_removed();
        Ok(child)
    }

    fn children(&self) -> &Cache<NarrowKey, Arc<CachedChild>> {
        self.children.get_or_init(|| {
            let removed = Arc::clone(&self.removed);
            Cache::builder()
                .max_capacity(MAX_NARROWED_SESSIONS)
                .eviction_policy(EvictionPolicy::lru())
                .eviction_listener(move |_key, child: Arc<CachedChild>, _cause| removed.lock().push(child))
                .build()
        })
    }

    /// Applies the limit now, and drops the children that were removed. The caller holds no lock.
    fn end_removed(&self) {
        self.children().run_pending_tasks();
        let removed = std::mem::take(&mut *self.removed.lock());
        removed.iter().for_each(|child| child.end());
    }
}

impl CachedChild {
    /// Returns a handle to the child, unless it was removed or has ended.
    fn open_session(&self) -> Option<SessionContext> {
        self.0.lock().clone().filter(|child| !child.is_closed())
    }

    /// Drops the child, which closes it when the last call that uses it returns.
    fn end(&self) {
        let child = self.0.lock().take();
        drop(child);
    }
}

impl Drop for NarrowedSessionCache {
    fn drop(&mut self) {
        let Some(children) = self.children.get() else { return };
        self.end_removed();
        children.iter().for_each(|(_key, child)| child.end());
    }
}

impl fmt::Debug for NarrowedSessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NarrowedSessionCache")
            .field("len", &self.children.get().map_or(0, |children| children.iter().count()))
            .finish_non_exhaustive()
    }
}
