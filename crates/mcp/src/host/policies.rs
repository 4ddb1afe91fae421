//! `ToolPolicies`: the session policy of each tool of each server; `CallAuthority`: what one call may do.
//!
//! A policy has the tool's own name as its key, or `*` for every tool of the server without a policy of its own. A
//! policy that never applies would be a mistake without a symptom. So a policy for an unknown server fails the start of
//! the host, and a policy for a tool that its server does not list is an error in the catalog.

use std::collections::BTreeMap;

use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionAccount, SessionPolicy};

use super::{ProxiedTool, ServerError};
use crate::child::Delivery;
use crate::config::McpConfig;

/// What a call may do.
pub(super) struct CallAuthority<'a> {
    pub(super) account: &'a SessionAccount,
    /// The account, if the call selects another one than the usual one.
    pub(super) selected: Option<AccountName>,
    pub(super) policy: Option<&'a SessionPolicy>,
}

/// Matches every tool of a server that has no policy of its own.
const ANY_TOOL: &str = "*";

/// Session policies by server and tool.
#[derive(Default)]
pub(super) struct ToolPolicies(BTreeMap<String, BTreeMap<String, SessionPolicy>>);

impl ToolPolicies {
    pub(super) fn insert(&mut self, server: String, tool: String, policy: SessionPolicy) {
        self.0.entry(server).or_default().insert(tool, policy);
    }

    /// Returns the policy for a tool: its own one, or else that for every tool of the server.
    pub(super) fn get(&self, server: &str, tool: &str) -> Option<&SessionPolicy> {
        let tools = self.0.get(server)?;
        tools.get(tool).or_else(|| tools.get(ANY_TOOL))
    }

    /// Rejects policies that would never apply: such a mistake would otherwise go unnoticed.
    pub(super) fn validate(&self, config: &McpConfig) -> Result<()> {
        let invalid = |message: String, remedy: &'static str| {
            Err(Error::new(ErrorKind::Invalid, message).with_field("tool_policy").with_next_step(remedy))
        };
        for server in self.0.keys() {
            match config.servers.get(server) {
                Some(config) if config.delivery == Delivery::None => {
                    return invalid(
                        format!("the server `{server}` is given no credentials that a policy could narrow"),
                        "give it the session's credentials, or take the policy away",
                    );
                }
                // A broken or disabled server is reported elsewhere and runs no calls.
                None if !config
                    .errors
                    .iter()
                    .chain(&config.warnings)
                    .any(|error| error.server == *server) =>
                {
                    return invalid(
                        format!("a tool policy is about a server `{server}`, which is not configured"),
                        "correct the server's name, or add it",
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns an error for each tool that has a policy but is missing from its server's list. A server without listed
    /// tools is skipped.
    pub(super) fn unlisted(&self, tools_listed: &[ProxiedTool]) -> Vec<ServerError> {
        let mut errors = Vec::new();
        for (server, tools) in &self.0 {
            let listed: Vec<_> = tools_listed.iter().filter(|tool| tool.server == *server).collect();
            let is_unknown = |tool: &str| tool != ANY_TOOL && listed.iter().all(|listed| listed.tool != tool);
            for tool in tools.keys().filter(|tool| !listed.is_empty() && is_unknown(tool)) {
                let message = format!("has no tool `{tool}`, for which there is a policy");
                let error = Error::new(ErrorKind::Invalid, message)
                    .with_next_step("name the tool as the server lists it");
                errors.push(ServerError { server: server.clone(), error });
            }
        }
        errors
    }
}
