//! `NarrowedSessionCache`: keeps a narrowed child session per account and policy.

use std::fmt;

use parking_lot::{Mutex, MutexGuard};

use crate::session::{SessionAccount, SessionContext, error};
use crate::{AccountName, PolicyDigest, Result, SessionId, SessionPolicy};

/// The maximum number of children kept. The credentials of each child are refreshed while its session is kept warm.
const MAX_NARROWED_SESSIONS: usize = 32;

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
pub struct NarrowedSessionCache(Mutex<Vec<CachedSession>>);

struct CachedSession {
    key: NarrowKey,
    child: SessionContext,
}

#[derive(PartialEq, Eq)]
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
    pub fn get_or_narrow(&self, account: &SessionAccount, policy: &SessionPolicy) -> Result<SessionContext> {
        let session = account.session_id().ok_or_else(error::closed)?;
        let key = NarrowKey { session, account: account.alias().clone(), policy: policy.digest() };
        if let Some(open) = self.get(&key).filter(|child| !child.is_closed()) {
            return Ok(open);
        }
        let child = account.narrow(policy.clone())?;
        self.insert(CachedSession { key, child: child.clone() });
        Ok(child)
    }

    fn get(&self, key: &NarrowKey) -> Option<SessionContext> {
        let mut kept = self.lock();
        let at = kept.iter().position(|kept| kept.key == *key)?;
        kept[at..].rotate_left(1);
        kept.last().map(|kept| kept.child.clone())
    }

    fn insert(&self, new: CachedSession) {
        let mut kept = self.lock();
        let mut gone: Vec<_> = kept.extract_if(.., |kept| kept.key == new.key).collect();
        kept.push(new);
        let excess = kept.len().saturating_sub(MAX_NARROWED_SESSIONS);
        gone.extend(kept.drain(..excess));
        drop(kept);
        // Dropping a child closes it, which may run user code, so it happens outside the lock.
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<CachedSession>> {
        self.0.lock()
    }
}

impl fmt::Debug for NarrowedSessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NarrowedSessionCache").field("len", &self.lock().len()).finish_non_exhaustive()
    }
}
