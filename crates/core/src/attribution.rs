//! `Attribution`: who is behind what AWS issues, in the words that AWS writes down.

mod template;

use std::fmt;

use crate::{AccountName, Principal, Result, SessionContext, SessionId};

pub use template::NameTemplate;
pub(crate) use template::is_session_name;

/// The tag that names a session.
pub(crate) const SESSION_TAG: &str = "valetkey:session";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Principal,
    Session,
    Agent,
    Account,
}

/// Who is behind what AWS issues, as far as is known. The session's id is the one in status and audit records, so that
/// they can be joined.
///
/// AWS writes the *name* of a role session into every CloudTrail line of what is done with it; [`session_name`] has the
/// session's id in it. The [`tags`] are in the line of the call that issued the set, and can be asked for in policies
/// (`aws:PrincipalTag/valetkey:session`). A child session that is [narrowed](SessionContext::narrow) acts under the names
/// and tags of the provider it was narrowed from; the audit record of its making joins the two.
///
/// [`session_name`]: Self::session_name
/// [`tags`]: Self::tags
#[derive(Debug, Clone, Default)]
pub struct Attribution {
    session: Option<SessionId>,
    account: Option<AccountName>,
    principal: Option<Principal>,
    agent: Option<String>,
}

impl Attribution {
    /// Nobody in particular.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The session, and whom it acts for.
    #[must_use]
    pub fn for_session(session: &SessionContext) -> Self {
        Self { session: Some(session.id()), principal: session.principal().cloned(), ..Self::default() }
    }

    /// Which session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Which of its accounts.
    #[must_use]
    pub fn account(mut self, account: AccountName) -> Self {
        self.account = Some(account);
        self
    }

    /// Whom the session acts for.
    #[must_use]
    pub fn principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Which agent it is, in the host's words.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// The name of a role session that leads back to this session: `valetkey-` and its id.
    ///
    /// # Errors
    /// `Invalid` when the session is not said.
    pub fn session_name(&self) -> Result<String> {
        NameTemplate::default().render(self)
    }

    /// The session's id.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.session
    }

    /// What is known, as session tags: `valetkey:principal`, `valetkey:session`, `valetkey:agent`, `valetkey:account`.
    /// Nothing is cut or altered to fit what AWS takes for a value.
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
