//! `SessionStore`: the session of a tool set and the sessions narrowed from it for sub-agents, indexed by handle.
//!
//! A handle has 32 lower-case hexadecimal digits. A model passes it as `credential_session` in each call that must run
//! with the narrowed credentials. The store keeps at most 32 narrowed sessions open, and removes those that have ended
//! whenever a handle is inserted or looked up.
//!
//! Each entry keeps how it was narrowed, so that another process can [narrow again](crate::NarrowedSession).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use valetkey_core::{AccessScope, AccountName, Error, ErrorKind, Result, SessionContext, SessionHandle};

use crate::arguments::ToolArguments;
use crate::narrowed::{NarrowedSession, Narrowing};

/// The argument that names the narrowed session on which a call acts: a handle returned by `narrow_aws_credentials`.
pub const CREDENTIAL_SESSION_ARG: &str = "credential_session";
/// The maximum number of narrowed sessions that are open at the same time.
const MAX_NARROWED_SESSIONS: usize = 32;

/// A session and the sessions narrowed from it. Clones share them.
///
/// Handles are 128 random bits and are looked up in a map with a randomly keyed hash, so the response time reveals
/// nothing about the digits of a handle.
#[derive(Clone)]
pub(crate) struct SessionStore(Arc<SharedSessions>);

struct SharedSessions {
    own: SessionContext,
    /// The accounts whose credentials no tool may set.
    configured_accounts: BTreeSet<AccountName>,
    narrowed_sessions: Mutex<HashMap<SessionHandle, Entry>>,
}

struct Entry {
    session: SessionContext,
    /// `None` for a session that a person has granted: it has more access than the session of the tools.
    narrowing: Option<Narrowing>,
}

impl Entry {
    fn is_granted(&self) -> bool {
        self.narrowing.is_none()
    }
}

impl SessionStore {
    pub(crate) fn new(own: SessionContext, configured: BTreeSet<AccountName>) -> Self {
        Self(Arc::new(SharedSessions {
            own,
            configured_accounts: configured,
            narrowed_sessions: Mutex::default(),
        }))
    }

    /// Returns the session of the tool set.
    pub(crate) fn own(&self) -> &SessionContext {
        &self.0.own
    }

    /// Fails for an account whose credentials come from the configuration.
    pub(crate) fn check_settable(&self, account: &AccountName) -> Result<()> {
        if self.0.configured_accounts.contains(account) {
            let message = format!("the account `{account}` gets its credentials from its configuration");
            return Err(Error::new(ErrorKind::Denied, message).with_field("account").with_next_step(
                "call the other tools without setting credentials; if they fail, the person who runs valetkey must act",
            ));
        }
        Ok(())
    }

    /// Returns the session on which a call acts: the narrowed session that its arguments name, or that of the tool set.
    /// Removes the argument.
    pub(crate) fn session_for_call(&self, arguments: &mut ToolArguments) -> Result<SessionContext> {
        Ok(self.narrowed_session_for_call(arguments)?.unwrap_or_else(|| self.0.own.clone()))
    }

    /// Returns the narrowed session that a call names, if any, and removes the argument.
    pub(crate) fn narrowed_session_for_call(
        &self,
        arguments: &mut ToolArguments,
    ) -> Result<Option<SessionContext>> {
        Ok(self.narrowed_entry_for_call(arguments)?.map(|(_, session)| session))
    }

    /// Returns the session that a call narrows, with its handle if it was narrowed itself. Removes the argument.
    pub(crate) fn parent_for_call(
        &self,
        arguments: &mut ToolArguments,
    ) -> Result<(Option<SessionHandle>, SessionContext)> {
        let narrowed = self.narrowed_entry_for_call(arguments)?;
        Ok(narrowed.map_or_else(|| (None, self.0.own.clone()), |(handle, session)| (Some(handle), session)))
    }

    fn narrowed_entry_for_call(
        &self,
        arguments: &mut ToolArguments,
    ) -> Result<Option<(SessionHandle, SessionContext)>> {
        arguments.reject_misspelled(CREDENTIAL_SESSION_ARG)?;
        arguments.take_non_blank(CREDENTIAL_SESSION_ARG)?.map(|handle| self.get(&handle)).transpose()
    }

    /// Stores a narrowed session until it is closed, and returns its handle.
    pub(crate) fn insert(&self, session: SessionContext, narrowing: Narrowing) -> Result<SessionHandle> {
        self.insert_entry(Entry { session, narrowing: Some(narrowing) })
    }

    /// Stores a session that a person has granted until it is closed, and returns its handle.
    pub(crate) fn insert_granted(&self, session: SessionContext) -> Result<SessionHandle> {
        self.insert_entry(Entry { session, narrowing: None })
    }

    /// Closes the sessions that a person has granted.
    pub(crate) fn close_granted(&self) {
        self.snapshot(Entry::is_granted).iter().for_each(|(_, session)| drop(session.close()));
        self.remove_ended();
    }

    fn insert_entry(&self, entry: Entry) -> Result<SessionHandle> {
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
        narrowed.insert(handle, entry);
        Ok(handle)
    }

    /// Returns the open sessions that were narrowed from that of the tools, in no order.
    pub(crate) fn list(&self) -> Vec<NarrowedSession> {
        self.remove_ended();
        let narrowed = self.narrowed_handles();
        let describe = |(handle, entry): (&SessionHandle, &Entry)| {
            let Narrowing { parent, accounts, policy } = entry.narrowing.clone()?;
            let (id, ends_at) = (entry.session.id(), entry.session.expires_at());
            Some(NarrowedSession { handle: *handle, id, parent, accounts, policy, ends_at })
        };
        narrowed.iter().filter_map(describe).collect()
    }

    /// Closes the narrowed sessions that are not in `wanted`, and narrows those that are missing. Returns whether that has
    /// changed anything.
    pub(crate) fn restore(&self, wanted: &[NarrowedSession]) -> bool {
        self.remove_ended();
        let is_wanted = |handle: &SessionHandle| wanted.iter().any(|session| session.handle == *handle);
        let mut is_changed = false;
        let narrowed = self.snapshot(|entry| !entry.is_granted());
        for (_, session) in narrowed.iter().filter(|(handle, _)| !is_wanted(handle)) {
            session.close();
            is_changed = true;
        }
        self.remove_ended();
        // A session is narrowed after the one that it was narrowed from, so each round restores one level at least.
        while wanted.iter().filter(|session| self.restore_one(session)).count() > 0 {
            is_changed = true;
        }
        is_changed
    }

    /// Narrows again, and returns whether that was possible and necessary.
    fn restore_one(&self, wanted: &NarrowedSession) -> bool {
        let parent = match wanted.parent {
            None => Some(self.0.own.clone()),
            Some(parent) => self.narrowed_handles().get(&parent).map(|entry| entry.session.clone()),
        };
        let is_known = self.narrowed_handles().contains_key(&wanted.handle);
        let Some(parent) = parent.filter(|_| !is_known) else { return false };
        let narrowing = wanted.narrowing();
        let remaining = wanted.ends_at.remaining(parent.clock().now());
        let scope = narrowing.scope().session_id(wanted.id);
        let scope = remaining.into_iter().fold(scope, AccessScope::lifetime);
        // A session that has ended, or that cannot be narrowed in this way, is not served.
        let Ok(session) = parent.narrow(scope) else { return false };
        self.narrowed_handles().insert(wanted.handle, Entry { session, narrowing: Some(narrowing) });
        true
    }

    fn get(&self, text: &str) -> Result<(SessionHandle, SessionContext)> {
        let handle: SessionHandle = text.parse().map_err(|_| {
            Error::invalid(CREDENTIAL_SESSION_ARG, "must be 32 lower-case hexadecimal digits")
                .with_next_step("give the handle as it was given to you")
        })?;
        self.remove_ended();
        let found = self.narrowed_handles().get(&handle).map(|entry| (handle, entry.session.clone()));
        found.ok_or_else(|| {
            Error::new(ErrorKind::Closed, "there is no such narrowed session, or it has ended")
                .with_field(CREDENTIAL_SESSION_ARG)
                .with_next_step(
                    "request another handle from the agent that gave you this one; nothing was done",
                )
        })
    }

    /// Removes the sessions that have ended. `is_closed` closes a session whose deadline has passed, which may run user
    /// code, so it is called without the lock.
    fn remove_ended(&self) {
        for (handle, _) in self.snapshot(|_| true).iter().filter(|(_, session)| session.is_closed()) {
            self.narrowed_handles().remove(handle);
        }
    }

    /// Returns the sessions of some entries, for what must not run with the lock.
    fn snapshot(&self, is_included: impl Fn(&Entry) -> bool) -> Vec<(SessionHandle, SessionContext)> {
        let narrowed = self.narrowed_handles();
        let included = narrowed.iter().filter(|(_, entry)| is_included(entry));
        included.map(|(handle, entry)| (*handle, entry.session.clone())).collect()
    }

    fn narrowed_handles(&self) -> MutexGuard<'_, HashMap<SessionHandle, Entry>> {
        self.0.narrowed_sessions.lock()
    }
}

/// Returns the input schema of a session tool: its own properties and the session argument, no additional ones.
pub(crate) fn input_schema(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    schema["properties"][CREDENTIAL_SESSION_ARG] = session_argument_schema();
    schema
}

/// Returns the schema of the session argument.
pub(crate) fn session_argument_schema() -> Value {
    json!({"type": "string", "description": "Handle of narrow_aws_credentials, to act with those credentials"})
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore")
            .field("own", &self.0.own)
            .field("narrowed", &self.narrowed_handles().len())
            .finish()
    }
}
