//! What a call may do. `AccountArgument`: the argument with which it selects an account; `ToolPolicies`: the session
//! policy of each tool of each server; `CallAuthority`: the account and the policy of one call; `GroupKey`:
//! the calls that share processes.
//!
//! The argument `aws_account` limits a call, so it is never ignored: an account that the session does not have, `null`,
//! and another spelling of the name are errors. It is not forwarded to the server.
//!
//! | server | argument |
//! |---|---|
//! | credentials of the session | selects the account |
//! | a fixed account | refused, unless it names that account |
//! | no credentials | none: an argument of this name belongs to the server |
//! | a tool that defines `aws_account` itself | belongs to the server |
//!
//! A policy has the tool's own name as its key, or `*` for every tool of the server without a policy of its own. A
//! policy that never applies would be a mistake without a symptom. So a policy for an unknown server fails the start of
//! the host, and a policy for a tool that its server does not list is an error in the catalog.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use valetkey_core::{
    AccountName, Error, ErrorKind, PolicyDigest, Result, SessionAccount, SessionContext, SessionId,
    SessionPolicy, WeakSession,
};

use crate::catalog::{ProxiedTool, ServerError};
use crate::child::Delivery;
use crate::client::ClientProfile;
use crate::config::{McpConfig, ServerConfig};

/// What a call may do.
pub(super) struct CallAuthority<'a> {
    pub(super) account: &'a SessionAccount,
    /// The account, if the call selects another one than the usual one.
    pub(super) selected: Option<AccountName>,
    pub(super) policy: Option<&'a SessionPolicy>,
}

/// The authority that a call runs with: that of a session, of an account of it that the call selects, or of an account
/// scoped down by a policy. And what the client has declared, which is fixed when a server is initialized.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    session: SessionId,
    /// `None` if each server of the group runs in its usual account.
    account: Option<AccountName>,
    policy: Option<PolicyDigest>,
    profile: ClientProfile,
}

impl GroupKey {
    pub(super) fn new(authority: &CallAuthority<'_>, profile: ClientProfile) -> Result<Self> {
        let CallAuthority { account, selected, policy } = authority;
        let closed = Error::new(ErrorKind::Closed, "the session is closed");
        let session = account.session_id().ok_or(closed.with_next_step("open a new session"))?;
        let policy = policy.map(SessionPolicy::digest);
        let account = selected.clone().or_else(|| policy.is_some().then(|| account.account_name().clone()));
        Ok(Self { session, account, policy, profile })
    }
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

/// The name of the argument.
pub(crate) const AWS_ACCOUNT: &str = "aws_account";

/// What the argument means for one tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccountArgument {
    /// It selects an account of the session. The tool may define an argument whose name is spelled alike.
    Selects { is_spelled_alike: bool },
    /// The server runs in a fixed account.
    Fixed,
    /// It belongs to the server, if it is given.
    Forwarded,
}

impl AccountArgument {
    /// Returns the meaning of the argument for a tool with this definition.
    pub(super) fn of_tool(config: &ServerConfig, definition: &Value) -> Self {
        let properties = definition["inputSchema"]["properties"].as_object();
        let names = || properties.into_iter().flat_map(Map::keys);
        if config.delivery == Delivery::None || names().any(|name| name == AWS_ACCOUNT) {
            Self::Forwarded
        } else if config.account.is_some() {
            Self::Fixed
        } else {
            Self::Selects { is_spelled_alike: names().any(|name| is_spelled_alike(name)) }
        }
    }

    /// Removes the argument from a call to a server of `fixed` account, and returns the account that it selects.
    pub(super) fn take(
        self,
        arguments: Option<&mut Map<String, Value>>,
        fixed: &SessionAccount,
    ) -> Result<Option<AccountName>> {
        let Some(arguments) = arguments.filter(|_| self != Self::Forwarded) else { return Ok(None) };
        let may_be_misspelled = self == Self::Selects { is_spelled_alike: false };
        if may_be_misspelled && arguments.keys().any(|name| name != AWS_ACCOUNT && is_spelled_alike(name)) {
            return Err(Error::invalid(AWS_ACCOUNT, "is misspelt; nothing was done")
                .with_next_step("write `aws_account`, or leave it out"));
        }
        let account = match arguments.shift_remove(AWS_ACCOUNT) {
            None => return Ok(None),
            Some(Value::String(name)) => AccountName::parse(AWS_ACCOUNT, &name)?,
            Some(_) => {
                return Err(Error::invalid(AWS_ACCOUNT, "must be the name of an account, as a string")
                    .with_next_step("give it, or leave it out"));
            }
        };
        if self == Self::Fixed && account != *fixed.account_name() {
            let message = format!("the server always runs in the account `{}`", fixed.account_name());
            return Err(Error::invalid(AWS_ACCOUNT, message).with_next_step("leave the argument out"));
        }
        Ok((self != Self::Fixed).then_some(account))
    }
}

/// Returns the definition of a tool. It has the argument if the tool may select one of `accounts` and there are several.
/// The first one is the default.
pub(crate) fn add_account_argument(tool: &ProxiedTool, accounts: &[AccountName]) -> Value {
    let mut definition = tool.definition.clone();
    if accounts.len() > 1 && tool.selects_account {
        add_to_schema(&mut definition, accounts);
    }
    definition
}

fn add_to_schema(definition: &mut Value, accounts: &[AccountName]) {
    let Some(schema) = definition.get_mut("inputSchema").and_then(Value::as_object_mut) else { return };
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    let (Some(properties), [default, ..]) = (properties.as_object_mut(), accounts) else { return };
    let names: Vec<_> = accounts.iter().map(AccountName::as_str).collect();
    let argument = json!({
        "type": "string",
        "enum": names,
        "description": format!("The AWS account to run with (default: {default})"),
    });
    properties.insert(AWS_ACCOUNT.to_owned(), argument);
}

/// The accounts of a host's session, which tools may add to.
pub(super) struct SelectableAccounts {
    session: WeakSession,
    /// The accounts in the last list of tools; `None` before the first list.
    listed: Mutex<Option<Vec<AccountName>>>,
}

impl SelectableAccounts {
    pub(super) fn new(session: &SessionContext) -> Self {
        Self { session: session.downgrade(), listed: Mutex::default() }
    }

    /// Returns the accounts for a list of tools, and remembers them.
    pub(super) fn list(&self) -> Vec<AccountName> {
        let accounts = self.current();
        *self.listed.lock() = Some(accounts.clone());
        accounts
    }

    /// Whether the session has other accounts than were listed last.
    pub(super) fn have_changed(&self) -> bool {
        let accounts = self.current();
        self.listed.lock().as_ref().is_some_and(|listed| *listed != accounts)
    }

    /// Returns the account of this name of the narrowed session or, without one, of the host's session.
    pub(super) fn find(
        &self,
        narrowed: Option<&SessionContext>,
        name: &AccountName,
    ) -> Result<SessionAccount> {
        let session = narrowed.cloned().or_else(|| self.session.upgrade());
        let session = session.ok_or_else(|| Error::new(ErrorKind::Closed, "the session is closed"))?;
        let accounts = session.accounts();
        if accounts.contains(name) {
            return session.account(name);
        }
        let names: Vec<_> = accounts.iter().map(|account| format!("`{account}`")).collect();
        Err(Error::invalid(AWS_ACCOUNT, "is not an account of this session; nothing was done")
            .with_next_step(format!("name one of {}, or leave it out", names.join(", "))))
    }

    fn current(&self) -> Vec<AccountName> {
        self.session.upgrade().map(|session| session.accounts()).unwrap_or_default()
    }
}

/// Whether `name` has the same letters as the argument, such as `awsAccount`.
fn is_spelled_alike(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
    letters.eq("awsaccount".chars())
}
