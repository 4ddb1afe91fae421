//! The argument `aws_account`, with which a call selects the account of the session that it runs with.
//!
//! The argument limits a call, so it is never ignored: an account that the session does not have, `null`, and another
//! spelling of the name are errors. It is not forwarded to the server.
//!
//! | server | argument |
//! |---|---|
//! | credentials of the session | selects the account |
//! | a fixed account | refused, unless it names that account |
//! | no credentials | none: an argument of this name belongs to the server |
//! | a tool that defines `aws_account` itself | belongs to the server |

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionAccount, SessionContext, WeakSession};

use super::ProxiedTool;
use crate::child::Delivery;
use crate::config::ServerConfig;

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
