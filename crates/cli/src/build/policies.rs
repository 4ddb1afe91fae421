//! Reads and checks the policies of the settings: named policies, and those applied to tool calls.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::{CredentialProvider, Error, SessionContext, SessionPolicy};

use crate::files::{self, AllowedWriters};
use crate::settings::{Delivery, Diagnostic, PolicySettings, ServerSettings, Settings, suggest_name};

#[derive(Debug, Clone, Default)]
pub(crate) struct ConfiguredPolicies {
    /// Policies by name.
    pub(crate) by_name: BTreeMap<String, SessionPolicy>,
    /// Policies by server and tool.
    pub(crate) by_tool: Vec<(String, String, SessionPolicy)>,
    /// Policies that could not be read. A reference to one is not reported as a second error.
    invalid: BTreeSet<String>,
}

impl ConfiguredPolicies {
    /// Reads the policies and checks that the accounts they apply to can be narrowed. Sends no requests.
    pub(crate) fn new(
        settings: &Settings,
        session: &SessionContext,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut policies = Self { invalid: settings.invalid_policies().clone(), ..Self::default() };
        // An account with errors cannot be checked.
        let is_sound = diagnostics.is_empty();
        for (name, policy_settings) in &settings.policies {
            match parse_policy(policy_settings) {
                Ok(policy) => drop(policies.by_name.insert(name.clone(), policy)),
                Err((field, what)) => {
                    let key = ["policies", name].into_iter().chain(field).collect::<Vec<_>>();
                    diagnostics.push(settings.diagnostic(&key, what));
                    policies.invalid.insert(name.clone());
                }
            }
        }
        for (server, server_settings) in &settings.servers {
            for (tool, text) in &server_settings.tool_policies {
                let diagnostic =
                    |what| settings.diagnostic(&["servers", server, "tool_policies", tool], what);
                let check_narrowable_if_valid = |policy: &_| {
                    if is_sound { check_narrowable(session, server_settings, policy) } else { Ok(()) }
                };
                match policies.find(text) {
                    Ok(Some(policy)) => {
                        diagnostics.extend(check_narrowable_if_valid(&policy).err().map(diagnostic));
                        policies.by_tool.push((server.clone(), tool.clone(), policy));
                    }
                    Ok(None) => {}
                    Err(what) => diagnostics.push(diagnostic(what)),
                }
            }
        }
        policies
    }

    /// Returns a policy given by name or as a document; `None` if its error has already been reported.
    pub(super) fn find(&self, text: &str) -> Result<Option<SessionPolicy>, String> {
        match self.by_name.get(text) {
            Some(policy) => Ok(Some(policy.clone())),
            None if self.invalid.contains(text) => Ok(None),
            None if text.trim_start().starts_with('{') => text.parse().map(Some).map_err(invalid_policy),
            None => Err(self.unknown_policy(text)),
        }
    }

    fn unknown_policy(&self, name: &str) -> String {
        let names: Vec<_> = self.by_name.keys().chain(&self.invalid).map(String::as_str).collect();
        match names.as_slice() {
            [] => "is neither a JSON document nor a policy's name; add a `[policies.NAME]`".to_owned(),
            _ => format!("is neither a JSON document nor a policy's name; {}", suggest_name(name, &names)),
        }
    }
}

/// Parses a policy, or returns the invalid field and the error.
fn parse_policy(policy_settings: &PolicySettings) -> Result<SessionPolicy, (Option<&'static str>, String)> {
    let (field, read) = match (&policy_settings.document, &policy_settings.file, &policy_settings.read_only) {
        (Some(text), None, None) => ("document", text.parse().map_err(invalid_policy)),
        (None, Some(path), None) => {
            let text = files::read_text(path, AllowedWriters::OwnerAndGroup);
            ("file", text.and_then(|text| text.parse().map_err(invalid_policy)))
        }
        (None, None, Some(services)) => {
            let services = services.iter().map(String::as_str);
            ("read_only", SessionPolicy::read_only(services).map_err(invalid_policy))
        }
        _ => return Err((None, "needs one of `document`, `file` and `read_only`, and no other".to_owned())),
    };
    read.map_err(|what| (Some(field), what))
}

fn invalid_policy(error: Error) -> String {
    let remedy = error.next_step().map(|step| format!("; {step}")).unwrap_or_default();
    format!("is no policy that can be used: {}{remedy}", error.message())
}

/// Checks whether the account of a server can be narrowed by a policy.
fn check_narrowable(
    session: &SessionContext,
    server: &ServerSettings,
    policy: &SessionPolicy,
) -> Result<(), String> {
    if server.credentials == Some(Delivery::None) {
        return Err("narrows nothing: the server gets no credentials".to_owned());
    }
    let named = server.account.as_ref().and_then(|account| account.parse().ok());
    let account = session.account(named.as_ref().unwrap_or_else(|| session.default_account()));
    let narrowed = account.and_then(|account| account.scope_down(policy).map(drop));
    let remedy = "name an `account` for the server that assumes a role";
    narrowed.map_err(|error| format!("cannot hold: {}; {remedy}", error.message()))
}
