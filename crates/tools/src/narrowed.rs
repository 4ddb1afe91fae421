//! `NarrowedSession`: a narrowed session as it is described to another process.

use valetkey_core::{AccessScope, AccountName, Expiry, SessionHandle, SessionId, SessionPolicy};

/// A session that `narrow_aws_credentials` has narrowed, described so that another process with the same session can
/// narrow it again. It holds no credentials; the handle is as secret as any handle.
///
/// # Examples
/// ```
/// # use serde_json::json;
/// # use valetkey_core::{Credentials, SessionContext};
/// # use valetkey_tools::ToolSet;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let keys = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, "example".into()).build()?;
/// # let [session, same] = [(); 2].map(|()| SessionContext::builder().build());
/// # session.set_credentials(keys.clone())?;
/// # same.set_credentials(keys)?;
/// let tools = ToolSet::for_session(session);
/// let _handle = tools.call("narrow_aws_credentials", json!({"lifetime": 900})).await;
/// let narrowed = tools.narrowed_sessions();
/// assert_eq!(narrowed.len(), 1);
///
/// // The tools of the same session in another process.
/// let tools = ToolSet::for_session(same);
/// assert!(tools.restore_narrowed(&narrowed));
/// assert_eq!(tools.narrowed_sessions()[0].handle, narrowed[0].handle);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarrowedSession {
    /// The handle.
    pub handle: SessionHandle,
    /// The id of the session in status and audit records, in every process.
    pub id: SessionId,
    /// The handle of the session that it was narrowed from, or `None` for the session of the tools.
    pub parent: Option<SessionHandle>,
    /// The accounts that it keeps (default: all, also those that are added later).
    pub accounts: Option<Vec<AccountName>>,
    /// What it may do at most.
    pub policy: Option<SessionPolicy>,
    /// When it ends.
    pub ends_at: Expiry,
}

/// How a session was narrowed.
#[derive(Debug, Clone)]
pub(crate) struct Narrowing {
    pub(crate) parent: Option<SessionHandle>,
    pub(crate) accounts: Option<Vec<AccountName>>,
    pub(crate) policy: Option<SessionPolicy>,
}

impl NarrowedSession {
    pub(crate) fn narrowing(&self) -> Narrowing {
        Narrowing { parent: self.parent, accounts: self.accounts.clone(), policy: self.policy.clone() }
    }
}

impl Narrowing {
    /// Returns the scope without a lifetime.
    pub(crate) fn scope(&self) -> AccessScope {
        let scope = self.accounts.iter().cloned().fold(AccessScope::new(), AccessScope::accounts);
        self.policy.iter().cloned().fold(scope, AccessScope::policy)
    }
}
