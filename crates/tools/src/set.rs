//! `ToolSet`: the tools bound to one session, in order, with unique names.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionContext, SessionPolicy};

use crate::access::{AccessOffers, NoApprover, RequestAccess};
use crate::arguments::ToolArguments;
use crate::credentials::{
    ClearCredentials, CloseSession, GetCredentials, ListAccounts, NamedPolicies, NarrowCredentials,
    RefreshCredentials, SetCredentials,
};
use crate::narrowed::NarrowedSession;
use crate::service::{GetServiceContext, SetServiceContext};
use crate::sessions::{self, SessionStore};
use crate::stack_job::SetFromStackJob;
use crate::{Approver, RequestableAccess, SecretExposure, Tool, ToolDefinition, ToolOutput};

/// The tools bound to one session, in order. Clones share the tools and the session.
///
/// A tool set holds a handle of its session, so the session stays open at least as long as the tool set. The same holds
/// for the sessions that a model narrowed from it (at most 32, each for at most 12 hours). A call that has the argument
/// [`CREDENTIAL_SESSION`] acts on the narrowed session that the argument names.
///
/// # Examples
/// ```
/// # use valetkey_core::SessionContext;
/// # use valetkey_tools::ToolSet;
/// # fn demo() {
/// let tools = ToolSet::for_session(SessionContext::builder().build());
/// assert!(tools.get("list_aws_accounts").is_some());
/// # }
/// ```
///
/// [`CREDENTIAL_SESSION`]: crate::CREDENTIAL_SESSION
#[derive(Clone, Default)]
pub struct ToolSet {
    tools: Vec<Arc<dyn Tool>>,
    sessions: Option<SessionStore>,
}

impl ToolSet {
    /// Returns the credential tools of `session`. They never show a secret.
    #[must_use]
    pub fn for_session(session: SessionContext) -> Self {
        Self::builder(session).build()
    }

    /// Returns a builder for the credential tools of `session`, to change the host's options.
    pub fn builder(session: SessionContext) -> ToolSetBuilder {
        ToolSetBuilder {
            session,
            exposure: SecretExposure::default(),
            policies: NamedPolicies::new(),
            configured_accounts: BTreeSet::new(),
            offers: None,
        }
    }

    /// Adds a tool at the end.
    ///
    /// # Errors
    /// `Invalid` if the tool set already has a tool of that name.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Result, SessionContext};
    /// # use valetkey_tools::{Tool, ToolSet};
    /// # fn demo(list_objects: impl Tool + 'static) -> Result<()> {
    /// let session = SessionContext::builder().build();
    /// let tools = ToolSet::for_session(session).with(list_objects)?;
    /// assert_eq!(tools.definitions().len(), 11);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with(mut self, tool: impl Tool + 'static) -> Result<Self> {
        let name = &tool.definition().name;
        if self.get(name).is_some() {
            return Err(Error::new(ErrorKind::Invalid, format!("two tools are named `{name}`"))
                .with_field("name")
                .with_next_step("give one of them another name"));
        }
        self.tools.push(Arc::new(tool));
        Ok(self)
    }

    /// Returns the session that the tools act on when a call names no other. `None` for a tool set without a session.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{AccessScope, Result, SessionContext};
    /// # use valetkey_tools::ToolSet;
    /// # fn demo(session: SessionContext) -> Result<()> {
    /// let floor = session.narrow(AccessScope::new())?;
    /// let tools = ToolSet::for_session(floor.clone());
    /// assert_eq!(tools.session().map(SessionContext::id), Some(floor.id()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn session(&self) -> Option<&SessionContext> {
        self.sessions.as_ref().map(SessionStore::own)
    }

    /// Returns the definition of each tool, in order.
    pub fn definitions(&self) -> impl ExactSizeIterator<Item = &ToolDefinition> {
        self.tools.iter().map(|tool| tool.definition())
    }

    /// Returns the tool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.iter().find(|tool| tool.definition().name == name)
    }

    /// Calls the tool of that name. Returns `None` if there is no such tool.
    ///
    /// # Cancel safety
    /// Dropping the future drops the call of the tool, which every [`Tool`] allows at any await point.
    pub async fn call(&self, name: &str, input: Value) -> Option<ToolOutput> {
        self.call_with(name, input, &NoApprover).await
    }

    /// Like [`call`](Self::call), for a caller that can reach a person, who decides about requests for access.
    ///
    /// # Cancel safety
    /// As [`call`](Self::call). A request for access whose call is dropped is refused.
    pub async fn call_with(&self, name: &str, input: Value, approver: &dyn Approver) -> Option<ToolOutput> {
        let tool = self.get(name)?;
        if self.ignores_session_argument(tool.definition(), &input) {
            return Some(ToolOutput::error(&session_argument_ignored()));
        }
        let output = tool.call_with(input, approver).await;
        tracing::debug!(tool = name, is_error = output.is_error, "tool called");
        Some(output)
    }

    /// Removes [`CREDENTIAL_SESSION`](crate::CREDENTIAL_SESSION) from the arguments of a call that is forwarded to
    /// another component, such as an MCP server, and returns the narrowed session that it names. Returns `None` if the
    /// argument is absent.
    ///
    /// # Errors
    /// - `Invalid`: the argument is `null`, blank or not a handle, or its name is misspelt.
    /// - `Closed`: no open session has this handle.
    ///
    /// # Examples
    /// ```
    /// # use serde_json::{Map, Value};
    /// # use valetkey_core::{Result, SessionContext};
    /// # use valetkey_tools::ToolSet;
    /// # fn demo(tools: &ToolSet, own: &SessionContext, mut arguments: Map<String, Value>) -> Result<()> {
    /// // The other component receives the arguments without the handle.
    /// let session = tools.extract_session(&mut arguments)?.unwrap_or_else(|| own.clone());
    /// # Ok(())
    /// # }
    /// ```
    pub fn extract_session(&self, arguments: &mut Map<String, Value>) -> Result<Option<SessionContext>> {
        let Some(sessions) = &self.sessions else { return Ok(None) };
        let mut rest = ToolArguments::forwarded(std::mem::take(arguments));
        let narrowed = sessions.narrowed_session_for_call(&mut rest);
        *arguments = rest.into_fields();
        narrowed
    }

    /// Returns the narrowed sessions that are open, in no order. Empty for a tool set without a session.
    #[must_use]
    pub fn narrowed_sessions(&self) -> Vec<NarrowedSession> {
        self.sessions.as_ref().map(SessionStore::list).unwrap_or_default()
    }

    /// Makes the narrowed sessions those that another process has described: closes the others, and narrows those that are
    /// missing. A session that cannot be narrowed in the same way, or has ended, is left out. Returns whether that has
    /// changed anything.
    pub fn restore_narrowed(&self, wanted: &[NarrowedSession]) -> bool {
        self.sessions.as_ref().is_some_and(|sessions| sessions.restore(wanted))
    }

    /// Returns the JSON Schema of the argument that [`extract_session`](Self::extract_session) reads, or `None` for a
    /// tool set without a session, which accepts no such argument.
    #[must_use]
    pub fn session_argument_schema(&self) -> Option<Value> {
        self.sessions.as_ref().map(|_| sessions::session_argument_schema())
    }

    /// Whether the call names a narrowed session that the tool does not read. A tool that the host added may act on a
    /// session of its own, with more permissions than the caller intended.
    fn ignores_session_argument(&self, tool: &ToolDefinition, input: &Value) -> bool {
        let is_named = input.get(sessions::CREDENTIAL_SESSION_ARG).is_some();
        is_named
            && self.sessions.is_some()
            && tool.input_schema["properties"].get(sessions::CREDENTIAL_SESSION_ARG).is_none()
    }
}

fn session_argument_ignored() -> Error {
    Error::invalid(
        sessions::CREDENTIAL_SESSION_ARG,
        "is not known to this tool, which would act with other credentials",
    )
    .with_next_step("leave this tool to the agent that narrowed the credentials")
}

impl<'a> IntoIterator for &'a ToolSet {
    type Item = &'a Arc<dyn Tool>;
    type IntoIter = std::slice::Iter<'a, Arc<dyn Tool>>;

    fn into_iter(self) -> Self::IntoIter {
        self.tools.iter()
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&Cow<'static, str>> = self.definitions().map(|definition| &definition.name).collect();
        f.debug_tuple("ToolSet").field(&names).finish()
    }
}

/// Builds a [`ToolSet`]; created by [`ToolSet::builder`].
///
/// # Examples
/// ```
/// # use valetkey_core::{AccountName, Result, SessionContext, SessionPolicy};
/// # use valetkey_tools::ToolSet;
/// # fn demo(session: SessionContext, prod: AccountName) -> Result<()> {
/// let tools = ToolSet::builder(session)
///     .policy("read-logs", SessionPolicy::read_only(["logs"])?)
///     .configured_account(prod)
///     .build();
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Debug)]
pub struct ToolSetBuilder {
    session: SessionContext,
    exposure: SecretExposure,
    policies: NamedPolicies,
    configured_accounts: BTreeSet<AccountName>,
    offers: Option<AccessOffers>,
}

impl ToolSetBuilder {
    /// Sets whether `get_aws_credentials_context` shows secrets (default: [`SecretExposure::StatusOnly`]). Only the
    /// host can set this; a model cannot.
    pub fn secret_exposure(mut self, exposure: SecretExposure) -> Self {
        self.exposure = exposure;
        self
    }

    /// Adds a policy, under a name, to which a model may narrow credentials.
    pub fn policy(mut self, name: impl Into<String>, policy: SessionPolicy) -> Self {
        self.policies.insert(name.into(), policy);
        self
    }

    /// Marks an account whose credentials come from the host's configuration: no tool can set other credentials on it
    /// (default: tools may set the credentials of every account of the session).
    pub fn configured_account(mut self, account: AccountName) -> Self {
        self.configured_accounts.insert(account);
        self
    }

    /// Offers access, under names, that the session of the tools does not have (default: none). A model requests it with
    /// the tool [`request_aws_access`](crate::REQUEST_ACCESS), and a person decides.
    ///
    /// `session` has the access: the session of the tools is usually [narrowed](SessionContext::narrow) from it. Each
    /// grant is narrowed from `session`, too. It ends after its lifetime, when a model clears the session of the tools,
    /// and with `session`.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # use valetkey_core::{AccessScope, Result, SessionContext, SessionPolicy};
    /// # use valetkey_tools::{RequestableAccess, ToolSet};
    /// # fn demo(session: SessionContext) -> Result<()> {
    /// let floor = session.narrow(AccessScope::new().policy(SessionPolicy::read_only(["ecs", "logs"])?))?;
    /// let deploy = RequestableAccess::new(Duration::from_secs(900));
    /// let tools = ToolSet::builder(floor).requestable(session, [("deploy".to_owned(), deploy)]).build();
    /// assert!(tools.get("request_aws_access").is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn requestable(
        mut self,
        session: SessionContext,
        offers: impl IntoIterator<Item = (String, RequestableAccess)>,
    ) -> Self {
        let offers: BTreeMap<_, _> = offers.into_iter().collect();
        self.offers = (!offers.is_empty()).then_some(AccessOffers { session, offers });
        self
    }

    /// Builds the tool set.
    #[must_use]
    pub fn build(self) -> ToolSet {
        let Self { session, exposure, policies, configured_accounts: configured, offers } = self;
        let sessions = SessionStore::new(session, configured);
        let mut tools: Vec<Arc<dyn Tool>> = vec![
            Arc::new(SetCredentials::new(sessions.clone())),
            Arc::new(GetCredentials::new(sessions.clone(), exposure)),
            Arc::new(SetFromStackJob::new(sessions.clone())),
            Arc::new(SetServiceContext::new(sessions.clone())),
            Arc::new(GetServiceContext::new(sessions.clone())),
            Arc::new(ClearCredentials::new(sessions.clone())),
            Arc::new(ListAccounts::new(sessions.clone())),
            Arc::new(RefreshCredentials::new(sessions.clone())),
            Arc::new(NarrowCredentials::new(sessions.clone(), policies)),
            Arc::new(CloseSession::new(sessions.clone())),
        ];
        if let Some(offers) = offers {
            tools.push(Arc::new(RequestAccess::new(sessions.clone(), offers)));
        }
        ToolSet { tools, sessions: Some(sessions) }
    }
}
