//! `SessionStore`: the session of a tool set, and those that were narrowed from it for sub-agents, found by handle.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionContext, SessionHandle};

use crate::arguments::ToolArguments;

/// The argument by which a call of a tool names the narrowed session that it is for: a handle, as
/// `narrow_aws_credentials` gave it.
pub const CREDENTIAL_SESSION_ARG: &str = "credential_session";
/// How many may be open at once.
const MAX_NARROWED_SESSIONS: usize = 32;

/// A session, and the narrowed ones that its handles lead to. A clone shares them.
///
/// Handles are 128 random bits and are looked up under a hash whose key is random too: how long an answer takes tells
/// nothing of the digits.
#[derive(Clone)]
pub(crate) struct SessionStore {
    own: SessionContext,
    /// The accounts whose credentials no tool may set.
    configured_accounts: Arc<BTreeSet<AccountName>>,
    narrowed_sessions: Arc<Mutex<HashMap<SessionHandle, SessionContext>>>,
}

impl SessionStore {
    pub(crate) fn new(own: SessionContext, configured: BTreeSet<AccountName>) -> Self {
        Self { own, configured_accounts: Arc::new(configured), narrowed_sessions: Arc::default() }
    }

    /// Fails for an account whose credentials the configuration provides.
    pub(crate) fn check_settable(&self, account: &AccountName) -> Result<()> {
        if self.configured_accounts.contains(account) {
            let message = format!("the account `{account}` gets its credentials from its configuration");
            return Err(Error::new(ErrorKind::Denied, message).with_field("account").with_next_step(
                "call the other tools without setting credentials; if they fail, the person who runs valetkey must act",
            ));
        }
        Ok(())
    }

    /// The session that a call is for: the narrowed one that its arguments name, else the set's own. The name is taken
    /// out of the arguments.
    pub(crate) fn session_for_call(&self, arguments: &mut ToolArguments) -> Result<SessionContext> {
        Ok(self.narrowed_session_for_call(arguments)?.unwrap_or_else(|| self.own.clone()))
    }

    /// The narrowed session that a call is for, if it names one.
    pub(crate) fn narrowed_session_for_call(
        &self,
        arguments: &mut ToolArguments,
    ) -> Result<Option<SessionContext>> {
        arguments.reject_misspelled(CREDENTIAL_SESSION_ARG)?;
        arguments.take_non_blank(CREDENTIAL_SESSION_ARG)?.map(|handle| self.get(&handle)).transpose()
    }

    /// Keeps a narrowed session until it is closed, and gives it a handle.
    pub(crate) fn insert(&self, session: SessionContext) -> Result<SessionHandle> {
        let handle = SessionHandle::random();
        self.remove_ended();
        let mut narrowed = self.narrowed_handles();
        if narrowed.len() >= MAX_NARROWED_SESSIONS {
            return Err(Error::new(
                ErrorKind::Throttled,
                "as many narrowed sessions are open as there may be",
            )
            .with_next_step(
                "close one that is done with `close_credential_session`, or wait for one to end",
            ));
        }
        narrowed.insert(handle, session);
        Ok(handle)
    }

    fn get(&self, text: &str) -> Result<SessionContext> {
        let handle: SessionHandle = text.parse().map_err(|_| {
            Error::invalid(CREDENTIAL_SESSION_ARG, "must be 32 lower-case hexadecimal digits")
                .with_next_step("give the handle as it was given to you")
        })?;
        self.remove_ended();
        let found = self.narrowed_handles().get(&handle).cloned();
        found.ok_or_else(|| {
            Error::new(ErrorKind::Closed, "there is no such narrowed session, or it has ended")
                .with_field(CREDENTIAL_SESSION_ARG)
                .with_next_step("ask whoever gave you the handle for another; nothing was done")
        })
    }

    /// Looking closes those whose time is up, which runs code of others, and so is not done under the lock.
    fn remove_ended(&self) {
        let known: Vec<_> =
            self.narrowed_handles().iter().map(|(handle, session)| (*handle, session.clone())).collect();
        for (handle, _) in known.iter().filter(|(_, session)| session.is_closed()) {
            self.narrowed_handles().remove(handle);
        }
    }

    fn narrowed_handles(&self) -> MutexGuard<'_, HashMap<SessionHandle, SessionContext>> {
        self.narrowed_sessions.lock()
    }
}

/// The input schema of a tool of a session: its own properties, the session argument, and nothing else.
pub(crate) fn input_schema(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    schema["properties"][CREDENTIAL_SESSION_ARG] = session_argument_schema();
    schema
}

/// The schema of the argument.
pub(crate) fn session_argument_schema() -> Value {
    json!({"type": "string", "description": "Handle of narrow_aws_credentials, to act with those credentials"})
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore")
            .field("own", &self.own)
            .field("narrowed", &self.narrowed_handles().len())
            .finish()
    }
}
