//! `ToolPolicies`: which tool of which server runs under which policy.

use std::collections::BTreeMap;

use valetkey_core::{Error, ErrorKind, Result, SessionPolicy};

use super::{ServerFault, ToolCatalog};
use crate::child::Delivery;
use crate::config::McpConfig;

/// Every tool of a server that is not named.
const ANY_TOOL: &str = "*";

/// The policies by server and tool.
#[derive(Default)]
pub(super) struct ToolPolicies(BTreeMap<String, BTreeMap<String, SessionPolicy>>);

impl ToolPolicies {
    pub(super) fn insert(&mut self, server: String, tool: String, policy: SessionPolicy) {
        self.0.entry(server).or_default().insert(tool, policy);
    }

    pub(super) fn get(&self, server: &str, tool: &str) -> Option<&SessionPolicy> {
        let tools = self.0.get(server)?;
        tools.get(tool).or_else(|| tools.get(ANY_TOOL))
    }

    /// A policy that would bind nobody is a mistake that would show only in what it did not prevent.
    pub(super) fn validate(&self, config: &McpConfig) -> Result<()> {
        let invalid = |message: String, remedy: &'static str| {
            Err(Error::new(ErrorKind::Invalid, message).with_field("tool_policy").with_next_step(remedy))
        };
        for server in self.0.keys() {
            match config.servers.get(server) {
                Some(known) if known.delivery == Delivery::None => {
                    return invalid(
                        format!("the server `{server}` is given no credentials that a policy could narrow"),
                        "give it the session's credentials, or take the policy away",
                    );
                }
                // A server that is broken or disabled is told of elsewhere, and runs nothing.
                None if !config.faults.iter().chain(&config.warnings).any(|told| told.server == *server) => {
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

    /// The tools that have a policy, and that their server was asked for and does not have.
    pub(super) fn unlisted(&self, catalog: &ToolCatalog) -> Vec<ServerFault> {
        let mut faults = Vec::new();
        for (server, tools) in &self.0 {
            let listed: Vec<_> = catalog.tools.iter().filter(|tool| tool.server == *server).collect();
            let is_unknown = |tool: &str| tool != ANY_TOOL && listed.iter().all(|listed| listed.tool != tool);
            for tool in tools.keys().filter(|tool| !listed.is_empty() && is_unknown(tool)) {
                let message = format!("has no tool `{tool}`, for which there is a policy");
                let error = Error::new(ErrorKind::Invalid, message)
                    .with_next_step("name the tool as the server lists it");
                faults.push(ServerFault { server: server.clone(), error });
            }
        }
        faults
    }
}
