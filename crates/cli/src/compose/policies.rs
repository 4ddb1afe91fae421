//! The policies of the settings, checked: those with a name, and those that tools run under.

use std::collections::{BTreeMap, BTreeSet};

use valetkey::{CredentialProvider, Error, SessionContext, SessionPolicy};

use crate::files::{self, Writers};
use crate::settings::{Delivery, Fault, PolicySettings, ServerSettings, Settings};

#[derive(Debug, Default)]
pub(crate) struct Policies {
    /// By name.
    pub(crate) named: BTreeMap<String, SessionPolicy>,
    /// By server and tool.
    pub(crate) tools: Vec<(String, String, SessionPolicy)>,
    /// Those that are there and could not be read: naming one is no second fault.
    broken: BTreeSet<String>,
}

impl Policies {
    /// Reads them, and tries whether what they are put on can be narrowed by them. Nobody is asked.
    pub(crate) fn new(settings: &Settings, session: &SessionContext, faults: &mut Vec<Fault>) -> Self {
        let mut policies = Self { broken: settings.broken_policies().clone(), ..Self::default() };
        // Of an account that is at fault, nothing can be said.
        let is_sound = faults.is_empty();
        for (name, wanted) in &settings.policies {
            match parsed(wanted) {
                Ok(policy) => drop(policies.named.insert(name.clone(), policy)),
                Err((field, what)) => {
                    let key = ["policies", name].into_iter().chain(field).collect::<Vec<_>>();
                    faults.push(settings.fault(&key, what));
                    policies.broken.insert(name.clone());
                }
            }
        }
        for (server, wanted) in &settings.servers {
            for (tool, text) in &wanted.tool_policies {
                let fault = |what| settings.fault(&["servers", server, "tool_policies", tool], what);
                let narrows = |policy: &_| if is_sound { narrows(session, wanted, policy) } else { Ok(()) };
                match policies.of_tool(text) {
                    Ok(Some(policy)) => {
                        faults.extend(narrows(&policy).err().map(fault));
                        policies.tools.push((server.clone(), tool.clone(), policy));
                    }
                    Ok(None) => {}
                    Err(what) => faults.push(fault(what)),
                }
            }
        }
        policies
    }

    /// A policy that is named or written out; `None` for one that was told to be at fault.
    fn of_tool(&self, text: &str) -> Result<Option<SessionPolicy>, String> {
        match self.named.get(text) {
            Some(policy) => Ok(Some(policy.clone())),
            None if self.broken.contains(text) => Ok(None),
            None if text.trim_start().starts_with('{') => text.parse().map(Some).map_err(no_policy),
            None => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> String {
        let names: Vec<_> = self.named.keys().chain(&self.broken).map(String::as_str).collect();
        match names.as_slice() {
            [] => "is neither a JSON document nor a policy's name; add a `[policies.NAME]`".to_owned(),
            _ => format!("is neither a JSON document nor a policy's name; name one of: {}", names.join(", ")),
        }
    }
}

/// What a policy says, or what is wrong with it, and in which field.
fn parsed(wanted: &PolicySettings) -> Result<SessionPolicy, (Option<&'static str>, String)> {
    let (field, read) = match (&wanted.document, &wanted.file, &wanted.read_only) {
        (Some(text), None, None) => ("document", text.parse().map_err(no_policy)),
        (None, Some(path), None) => {
            let text = files::read_text(path, Writers::OwnerAndGroup);
            ("file", text.and_then(|text| text.parse().map_err(no_policy)))
        }
        (None, None, Some(services)) => {
            let services = services.iter().map(String::as_str);
            ("read_only", SessionPolicy::read_only(services).map_err(no_policy))
        }
        _ => return Err((None, "needs one of `document`, `file` and `read_only`, and no other".to_owned())),
    };
    read.map_err(|what| (Some(field), what))
}

fn no_policy(error: Error) -> String {
    let remedy = error.next_step().map(|step| format!("; {step}")).unwrap_or_default();
    format!("is no policy that can be used: {}{remedy}", error.message())
}

/// Whether the account of a server can be narrowed by a policy.
fn narrows(session: &SessionContext, server: &ServerSettings, policy: &SessionPolicy) -> Result<(), String> {
    if server.credentials == Some(Delivery::None) {
        return Err("narrows nothing: the server gets no credentials".to_owned());
    }
    let named = server.account.as_ref().and_then(|account| account.parse().ok());
    let account = session.account(named.as_ref().unwrap_or_else(|| session.default_account()));
    let narrowed = account.and_then(|account| account.narrowed(policy).map(drop));
    let remedy = "name an `account` for the server that assumes a role";
    narrowed.map_err(|error| format!("cannot hold: {}; {remedy}", error.message()))
}
