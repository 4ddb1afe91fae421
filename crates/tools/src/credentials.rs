//! The tools that set, show, list, refresh, narrow and clear a session's credentials.

mod clear;
mod close;
mod get;
mod list;
mod narrow;
mod refresh;
mod set;

use serde_json::{Value, json};
use valetkey_core::{AccountName, Result, SessionContext};

pub(crate) use clear::ClearCredentials;
pub(crate) use close::CloseSession;
pub(crate) use get::GetCredentials;
pub use get::SecretExposure;
pub(crate) use list::ListAccounts;
pub(crate) use narrow::{NamedPolicies, NarrowCredentials};
pub use refresh::REFRESH_CREDENTIALS_TOOL;
pub(crate) use refresh::RefreshCredentials;
pub(crate) use set::SetCredentials;

/// Returns the status of one account as JSON. It contains no secrets.
///
/// | field | content |
/// |---|---|
/// | `account` | the alias |
/// | `default` | whether it is the session's default account |
/// | `provider` | the provider of the current credentials, or the one that the account would use |
/// | `account_id` | the AWS account, if the provider reported it |
/// | `region` | the region that the account is used in |
/// | `key_suffix` | the last four characters of the access key id; `null` without credentials |
/// | `expires_at` | in RFC 3339; `null` for long-lived keys |
/// | `freshness` | `fresh`, `advisory`, `mandatory` or `expired`; `null` without credentials |
/// | `generation` | counts the changes of the account's credentials |
/// | `has_session_token` | whether the credentials are temporary |
pub(crate) fn account_status(session: &SessionContext, account: &AccountName) -> Result<Value> {
    Ok(json!(session.account(account)?.status()?))
}

/// Returns the schema of [`account_status`].
pub(crate) fn status_schema() -> Value {
    let text = json!({"type": ["string", "null"]});
    json!({
        "type": "object",
        "properties": {
            "account": {"type": "string", "description": "The alias of the account"},
            "default": {"type": "boolean", "description": "Whether it is the session's default account"},
            "provider": text,
            "account_id": text,
            "region": text,
            "key_suffix": {"type": ["string", "null"], "description": "The last four characters of the access key id"},
            "expires_at": {"type": ["string", "null"], "description": "RFC 3339; null for long-lived keys"},
            "freshness": {"enum": ["fresh", "advisory", "mandatory", "expired", null]},
            "generation": {"type": "integer"},
            "has_session_token": {"type": "boolean"},
        },
        "required": ["account", "default", "generation", "has_session_token"],
    })
}

/// Returns the schema of the argument that names an account.
pub(crate) fn account_schema() -> Value {
    json!({"type": "string", "description": "Alias of the account; the session's default account if left out"})
}
