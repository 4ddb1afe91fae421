//! `Attribution`: identifies the session behind the credentials that AWS issues, in AWS's own logs.

mod template;

use std::fmt;

use crate::{AccountName, Principal, Result, SessionContext, SessionId};

pub use template::NameTemplate;
pub(crate) use template::is_session_name;

/// The session tag that holds the session's id.
pub(crate) const SESSION_TAG: &str = "valetkey:session";

/// A value that a name template can contain and that a tag holds. The names are the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Principal,
    Session,
    Agent,
    Account,
}

/// Identifies the session, account, principal and agent behind the credentials that AWS issues, as far as they are
/// known. The session's id is the same as in status and audit records, so the logs can be joined.
///
/// AWS writes the *name* of a role session into every CloudTrail line of its requests; [`session_name`] contains the
/// session's id. The [`tags`] are in the line of the call that issued the credentials, and policies can refer to them
/// (`aws:PrincipalTag/valetkey:session`). A child session that is [narrowed](SessionContext::narrow) uses the names
/// and tags of the provider that it was narrowed from; the audit record of its creation joins the two.
///
/// [`session_name`]: Self::session_name
/// [`tags`]: Self::tags
///
/// # Examples
/// ```
/// # use valetkey_core::{Attribution, SessionContext};
/// let session = SessionContext::builder().build();
/// let attribution = Attribution::for_session(&session);
/// assert_eq!(attribution.session_name()?, format!("valetkey-{}", session.id()));
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Attribution {
    session: Option<SessionId>,
    account: Option<AccountName>,
    principal: Option<Principal>,
    agent: Option<String>,
}

impl Attribution {
    /// Creates an empty attribution.
    ///
    /// Its session name cannot be rendered until a session is added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the attribution of a session and its principal.
    ///
    /// Account and agent are not filled in: a session may use several accounts on behalf of several agents.
    #[must_use]
    pub fn for_session(session: &SessionContext) -> Self {
        Self { session: Some(session.id()), principal: session.principal().cloned(), ..Self::default() }
    }

    /// Sets the session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Sets the account of the session.
    #[must_use]
    pub fn account(mut self, account: AccountName) -> Self {
        self.account = Some(account);
        self
    }

    /// Sets the principal that the session acts for.
    #[must_use]
    pub fn principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Sets the agent, as named by the host.
    ///
    /// Any text is accepted here; a name template that contains it checks it.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Returns a role session name that refers to this session: `valetkey-` and the session's id.
    ///
    /// # Errors
    /// `Invalid` without a session.
    pub fn session_name(&self) -> Result<String> {
        NameTemplate::default().render(self)
    }

    /// Returns the session's id.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.session
    }

    /// Returns the known values as session tags: `valetkey:principal`, `valetkey:session`, `valetkey:agent`,
    /// `valetkey:account`. Values are not cut or altered to fit AWS's limits.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::Attribution;
    /// let attribution = Attribution::new().principal("alice".parse()?).agent("doctor");
    /// let expected = [("valetkey:principal", "alice".to_owned()), ("valetkey:agent", "doctor".to_owned())];
    /// assert_eq!(attribution.tags(), expected);
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn tags(&self) -> Vec<(&'static str, String)> {
        let placeholders =
            [Placeholder::Principal, Placeholder::Session, Placeholder::Agent, Placeholder::Account];
        placeholders.into_iter().filter_map(|place| Some((place.tag_key(), self.value(place)?))).collect()
    }

    fn value(&self, place: Placeholder) -> Option<String> {
        match place {
            Placeholder::Principal => self.principal.as_ref().map(|principal| principal.to_string()),
            Placeholder::Session => self.session.map(|session| session.to_string()),
            Placeholder::Agent => self.agent.clone(),
            Placeholder::Account => self.account.as_ref().map(|account| account.to_string()),
        }
    }
}

impl Placeholder {
    fn tag_key(self) -> &'static str {
        match self {
            Self::Principal => "valetkey:principal",
            Self::Session => SESSION_TAG,
            Self::Agent => "valetkey:agent",
            Self::Account => "valetkey:account",
        }
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Principal => "principal",
            Self::Session => "session",
            Self::Agent => "agent",
            Self::Account => "account",
        })
    }
}
