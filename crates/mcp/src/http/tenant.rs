//! `Tenant`: what is kept beside a credential session: its tools, and its servers from the first call on.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use valetkey_core::{Principal, Result, SessionContext, WeakSession};
use valetkey_tools::ToolSet;

use super::auth::VerifiedCaller;
use super::live_config::LiveConfig;
use super::monitor::{RunningServer, TenantStatus};
use super::session_factory::host_builder;
use super::shared::SessionRecord;
use crate::gateway::{GatewayInner, OwnCalls};

/// The part of a session that is kept beside it: its tools, and its servers from the first call on.
pub(super) struct Tenant {
    pub(super) session: WeakSession,
    pub(super) tools: Result<ToolSet>,
    /// The caller that opened the session.
    pub(super) caller: VerifiedCaller,
    pub(super) running: OnceCell<RunningTenant>,
    /// The calls of credential tools that wait for a person.
    pub(super) own_calls: Arc<OwnCalls>,
    pub(super) label: Option<String>,
    /// The record of a session that other nodes may serve.
    pub(super) record: Option<Arc<SessionRecord>>,
}

impl Tenant {
    /// Returns the credential tools, if the session could be opened.
    pub(super) fn tools(&self) -> Option<&ToolSet> {
        self.tools.as_ref().ok()
    }

    /// Returns the session that servers run for and whose accounts a call can select: that of the credential tools. It
    /// has less authority than the open session, if the tools were given a part of that.
    pub(super) fn served_session(&self) -> Option<&SessionContext> {
        self.tools().and_then(ToolSet::session)
    }

    /// Whether the narrowed session that the arguments name was narrowed from this one.
    pub(super) fn has_narrowed(&self, arguments: &Map<String, Value>) -> bool {
        let extract = |tools: &ToolSet| tools.extract_session(&mut arguments.clone());
        self.tools().is_some_and(|tools| matches!(extract(tools), Ok(Some(_))))
    }

    pub(super) fn caller(&self) -> &VerifiedCaller {
        &self.caller
    }

    pub(super) fn principal(&self) -> &Principal {
        self.caller.principal()
    }

    /// Describes the session; `None` once it has ended.
    pub(super) fn status(&self) -> Option<TenantStatus> {
        let session = self.session.upgrade()?.status();
        let host = self.running.get().and_then(|running| running.gateway.host());
        let pids = host.into_iter().flat_map(|host| host.pids().chain(host.narrowed_pids()));
        let servers = pids.map(RunningServer::new).collect();
        (!session.closed).then(|| TenantStatus { session, label: self.label.clone(), servers })
    }
}

/// The servers of a session, from the first call on.
pub(super) struct RunningTenant {
    pub(super) session: SessionContext,
    pub(super) gateway: GatewayInner,
    /// The configuration that the servers have.
    pub(super) generation: Mutex<u64>,
}

impl RunningTenant {
    /// Gives the servers the current configuration, if they have an earlier one.
    pub(super) fn refresh(&self, live: &LiveConfig) {
        let mut generation = self.generation.lock();
        if *generation >= live.generation {
            return;
        }
        *generation = live.generation;
        let builder = host_builder(&*live.factory, &self.session);
        if let Some(Err(error)) = self.gateway.host().map(|host| host.reconfigure(builder)) {
            tracing::error!(session = %self.session.id(), %error, "the session keeps its servers");
        }
    }
}
