//! `ToolSet`: the tools bound to one session, in order, each name once.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionContext, SessionPolicy};

use crate::arguments::ToolArguments;
use crate::credentials::{
    ClearCredentials, CloseSession, GetCredentials, ListAccounts, NamedPolicies, NarrowCredentials,
    RefreshCredentials, SetCredentials,
};
use crate::service::{GetServiceContext, SetServiceContext};
use crate::sessions::{self, SessionStore};
use crate::stack_job::SetFromStackJob;
use crate::{SecretExposure, Tool, ToolDefinition, ToolOutput};

/// The tools bound to one session, in order. A clone shares them.
///
/// The set holds a handle of its session: the session stays open at least as long as the set. So do the sessions that a
/// model narrowed from it (32 at most, 12 hours each at most); each call that names one by [`CREDENTIAL_SESSION`] is for
/// that one.
///
/// [`CREDENTIAL_SESSION`]: crate::CREDENTIAL_SESSION
#[derive(Clone, Default)]
pub struct ToolSet {
    tools: Vec<Arc<dyn Tool>>,
    sessions: Option<SessionStore>,
}

impl ToolSet {
    /// The credential tools of `session`; they never show a secret.
    #[must_use]
    pub fn for_session(session: SessionContext) -> Self {
        Self::builder(session).build()
    }

    /// Describes the credential tools of `session`, to change what a host may change.
    pub fn builder(session: SessionContext) -> ToolSetBuilder {
        ToolSetBuilder {
            session,
            exposure: SecretExposure::default(),
            policies: NamedPolicies::new(),
            configured_accounts: BTreeSet::new(),
        }
    }

    /// Adds a tool at the end.
    ///
    /// # Errors
    /// `Invalid` when a tool of that name is there already.
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

    /// What a model is told about each tool, in order.
    pub fn definitions(&self) -> impl ExactSizeIterator<Item = &ToolDefinition> {
        self.tools.iter().map(|tool| tool.definition())
    }

    /// The tool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.iter().find(|tool| tool.definition().name == name)
    }

    /// Calls the tool of that name; `None` when there is no such tool.
    pub async fn call(&self, name: &str, input: Value) -> Option<ToolOutput> {
        let tool = self.get(name)?;
        if self.ignores_session_argument(tool.definition(), &input) {
            return Some(ToolOutput::error(&session_argument_ignored()));
        }
        let output = tool.call(input).await;
        tracing::debug!(tool = name, is_error = output.is_error, "tool called");
        Some(output)
    }

    /// Takes the narrowed session out of the arguments of a call that goes to somebody else, such as a server behind
    /// this set; `None` when the call names none.
    ///
    /// # Errors
    /// `Invalid` for what is no handle, `null`, or the argument in another spelling; `Closed` when it leads to no session
    /// that is open.
    pub fn extract_session(&self, arguments: &mut Map<String, Value>) -> Result<Option<SessionContext>> {
        let Some(sessions) = &self.sessions else { return Ok(None) };
        let mut rest = ToolArguments::forwarded(std::mem::take(arguments));
        let narrowed = sessions.narrowed_session_for_call(&mut rest);
        *arguments = rest.into_fields();
        narrowed
    }

    /// The schema of the argument that [`extract_session`](Self::extract_session) takes; `None` for a set without a session,
    /// which takes none.
    #[must_use]
    pub fn session_argument_schema(&self) -> Option<Value> {
        self.sessions.as_ref().map(|_| sessions::session_argument_schema())
    }

    /// A tool that a host has added may act on a session of its own. What was to run with less must not run with that.
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
    .with_next_step("leave this tool to whoever narrowed the credentials")
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

/// Describes a [`ToolSet`]; made by [`ToolSet::builder`].
#[must_use]
#[derive(Debug)]
pub struct ToolSetBuilder {
    session: SessionContext,
    exposure: SecretExposure,
    policies: NamedPolicies,
    configured_accounts: BTreeSet<AccountName>,
}

impl ToolSetBuilder {
    /// Whether `get_aws_credentials_context` shows secrets. A host's choice, never a model's.
    pub fn secret_exposure(mut self, exposure: SecretExposure) -> Self {
        self.exposure = exposure;
        self
    }

    /// A policy that a model may narrow credentials to, by its name.
    pub fn policy(mut self, name: impl Into<String>, policy: SessionPolicy) -> Self {
        self.policies.insert(name.into(), policy);
        self
    }

    /// An account whose credentials the host's configuration provides: no tool sets others on it. By default a tool may set
    /// the credentials of every account of the session.
    pub fn configured_account(mut self, account: AccountName) -> Self {
        self.configured_accounts.insert(account);
        self
    }

    /// The set.
    #[must_use]
    pub fn build(self) -> ToolSet {
        let Self { session, exposure, policies, configured_accounts: configured } = self;
        let sessions = SessionStore::new(session, configured);
        let tools: Vec<Arc<dyn Tool>> = vec![
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
        ToolSet { tools, sessions: Some(sessions) }
    }
}
