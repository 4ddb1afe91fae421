//! `ConfiguredSessions`: the sessions that the settings describe, one or more for each principal.

use std::fmt::Display;
use std::sync::Arc;

use valetkey::audit::AuditSink;
use valetkey::backends::AwsClientConfig;
use valetkey::mcp::child::{HostEnvironment, Launcher};
use valetkey::mcp::http::{NewSession, SessionFactory, VerifiedCaller};
use valetkey::mcp::{McpConfig, McpHost, McpHostBuilder};
use valetkey::tools::ToolSet;
use valetkey::{AccountName, CredentialObservers, Error, ErrorKind, Principal, Result, SessionContext};

use crate::build::{
    BuildMode, ClaimSource, ConfiguredAccess, ConfiguredPolicies, SessionInputs, narrow_to_scope,
    with_tool_resolver,
};
use crate::serve::{tools_builder, with_idle_timeout, with_tool_policies};
use crate::settings::{Diagnostic, Settings};
use crate::terminal::Terminal;

/// Long enough for a model to think between two calls.
const DEFAULT_IDLE_SECONDS: u64 = 10 * 60;

pub(super) struct ConfiguredSessions {
    pub(super) settings: Arc<Settings>,
    pub(super) base: AwsClientConfig,
    pub(super) terminal: Terminal,
    /// Shared by all sessions.
    pub(super) audit: Option<Arc<dyn AuditSink>>,
    pub(super) config: McpConfig,
    pub(super) policies: Arc<ConfiguredPolicies>,
    pub(super) access: Arc<ConfiguredAccess>,
    pub(super) launcher: Launcher,
    /// The settings that these replace.
    pub(super) replaced: Option<Arc<Settings>>,
}

impl ConfiguredSessions {
    fn inputs<'a>(
        &'a self,
        settings: &'a Settings,
        observers: &'a CredentialObservers,
        claims: ClaimSource<'a>,
    ) -> SessionInputs<'a> {
        SessionInputs { settings, base: &self.base, terminal: &self.terminal, observers, claims }
    }
}

impl SessionFactory for ConfiguredSessions {
    fn new_session(&self, caller: &VerifiedCaller) -> Result<NewSession> {
        let principal = caller.principal();
        let settings = Settings::clone(&self.settings).for_caller(caller);
        let observers = CredentialObservers::new();
        let inputs = self.inputs(&settings, &observers, ClaimSource::Caller(caller));
        let mut diagnostics = Vec::new();
        let builder = inputs.session_builder(BuildMode::Run, self.audit.clone(), &mut diagnostics);
        check(principal, &diagnostics)?;
        let builder = with_tool_resolver(builder, &inputs, &self.config, &self.launcher);
        let (base, terminal) = (self.base.clone(), self.terminal.clone());
        let (policies, access) = (Arc::clone(&self.policies), Arc::clone(&self.access));
        let caller = caller.clone();
        Ok(NewSession::new(builder, move |session| {
            let inputs = SessionInputs {
                settings: &settings,
                base: &base,
                terminal: &terminal,
                observers: &observers,
                claims: ClaimSource::Caller(&caller),
            };
            let mut diagnostics = Vec::new();
            inputs.set_providers(session, &mut diagnostics);
            check(caller.principal(), &diagnostics)?;
            let served = narrow_to_scope(&settings, session, &policies, access.floor.as_deref());
            let served = served.map_err(|what| no_session(caller.principal(), &[what]))?;
            let tools = tools_builder(&settings, &served, &policies);
            Ok(tools.requestable(session.clone(), access.offers_for(session)).build())
        }))
    }

    fn host(&self, session: &SessionContext) -> Option<McpHostBuilder> {
        let host = McpHost::builder(session, self.config.clone())
            .environment(HostEnvironment::from_process())
            .launcher(self.launcher.clone());
        let idle_seconds = self.settings.processes.idle_seconds.unwrap_or(DEFAULT_IDLE_SECONDS);
        Some(with_tool_policies(with_idle_timeout(host, Some(idle_seconds)), &self.policies))
    }

    fn keeps_sessions(&self, caller: &VerifiedCaller) -> bool {
        let principal = caller.principal().to_string();
        self.replaced.as_ref().is_none_or(|before| self.settings.has_same_sessions_of(&principal, before))
    }

    fn configuration(&self) -> Option<String> {
        Some(self.settings.sessions_digest())
    }

    fn catalog_session(&self) -> SessionContext {
        let observers = CredentialObservers::new();
        let inputs = self.inputs(&self.settings, &observers, ClaimSource::Placeholder);
        // The providers are not set, so the session never has credentials.
        inputs.session_builder(BuildMode::CheckOnly, None, &mut Vec::new()).build()
    }

    fn list_session(&self) -> Option<SessionContext> {
        self.config.servers.values().find(|server| server.list_account.is_some())?;
        let observers = CredentialObservers::new();
        let inputs = self.inputs(&self.settings, &observers, ClaimSource::Absent);
        let mut diagnostics = Vec::new();
        let builder = inputs.session_builder(BuildMode::Run, self.audit.clone(), &mut diagnostics);
        let session = builder.build();
        inputs.set_providers(&session, &mut diagnostics);
        // An account that depends on a caller has no provider here, which matters only if it is to sign lists.
        diagnostics.iter().for_each(|diagnostic| tracing::debug!(%diagnostic, "not an account for lists"));
        Some(session)
    }

    fn catalog_tools(&self, session: &SessionContext) -> ToolSet {
        ToolSet::builder(session.clone()).requestable(session.clone(), self.access.offers.clone()).build()
    }

    fn accounts(&self, caller: &VerifiedCaller) -> Vec<AccountName> {
        let settings = Settings::clone(&self.settings).for_caller(caller);
        let observers = CredentialObservers::new();
        let inputs = self.inputs(&settings, &observers, ClaimSource::Caller(caller));
        let session = inputs.session_builder(BuildMode::CheckOnly, None, &mut Vec::new()).build();
        // The session serves no credentials: only the names of its accounts are read.
        inputs.set_providers(&session, &mut Vec::new());
        let floor = self.access.floor.as_deref();
        let served = narrow_to_scope(&settings, &session, &self.policies, floor);
        served.map(|served| served.accounts()).unwrap_or_default()
    }
}

/// Fails if the settings allow this principal no session. The caller does not see what they contain.
fn check(principal: &Principal, diagnostics: &[Diagnostic]) -> Result<()> {
    if diagnostics.is_empty() {
        return Ok(());
    }
    Err(no_session(principal, diagnostics))
}

/// Logs why the settings allow this principal no session, and returns an error without the reasons.
fn no_session(principal: &Principal, reasons: &[impl Display]) -> Error {
    for reason in reasons {
        tracing::error!(%principal, "{reason}");
    }
    Error::new(ErrorKind::Denied, "the gateway's settings allow you no session")
        .with_next_step("ask the person who runs the gateway")
}
