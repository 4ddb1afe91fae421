//! `NarrowedSessionCache`: narrowed child sessions, one for each policy that something is done under.

use std::fmt;

use parking_lot::{Mutex, MutexGuard};

use crate::session::{SessionAccount, SessionContext, faults};
use crate::{AccountName, PolicyDigest, Result, SessionId, SessionPolicy};

/// How many children are kept. Each has a set that is renewed for as long as its session is kept warm.
const MAX_NARROWED_SESSIONS: usize = 32;

/// Narrowed child sessions by account and policy, kept for tools that each run under a policy of their own.
///
/// A tool that narrowed its session for each call would have new credentials issued for each call. Here the child is
/// made when it is first asked for, and anew once it has ended: with a clear, with its session. 32 are kept; beyond that
/// the one that was not asked for longest is let go, and ends when the last call that holds it has.
///
/// It belongs to whoever has the tools, and keeps no session open.
///
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
    /// A child of the account's session that has this account alone, and in it what `policy` allows and no more. Equal
    /// questions are answered with the same child, for as long as it is open.
    ///
    /// # Errors
    /// As [`SessionContext::narrow`]; nothing is kept then.
    pub fn get_or_narrow(&self, account: &SessionAccount, policy: &SessionPolicy) -> Result<SessionContext> {
        let session = account.session_id().ok_or_else(faults::closed_error)?;
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
        // Closing runs code of others, and so not under the lock.
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
