//! The results of calls: errors as results, unmasked results, and the [`Receipt`] of the credentials that a call ran with.
//!
//! The receipt is in the `_meta` of the result.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `account` | string | the name of the account in the session |
//! | `account_id` | string or `null` | the AWS account, if the provider reported it |
//! | `generation` | number | the version of the account's credentials |
//! | `expires_at` | string or `null` | when they expire; `null` for long-lived keys |
//!
//! The credentials are those that the account served when the call began. A server that reads them from the credential
//! endpoint may get a renewal during the call. A receipt contains neither a secret nor a handle.

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use valetkey_core::{Error, ErrorKind, Result, SessionAccount};
use valetkey_tools::ToolOutput;

use super::McpHost;
use crate::child::Delivery;
use crate::client::ClientContext;
use crate::json::round_numbers;

/// The key of the receipt in `_meta`.
const RECEIPT_KEY: &str = "valetkey/receipt";

/// The receipt of one call; empty for a server that is given no credentials.
pub(super) struct Receipt(Option<Value>);

impl Receipt {
    /// Describes the credentials that `account` serves now.
    pub(super) fn new(account: &SessionAccount, delivery: Delivery) -> Self {
        let current = account.current().filter(|_| delivery != Delivery::None);
        Self(current.map(|current| {
            json!({
                "account": account.account_name(),
                "account_id": current.credentials.account_id(),
                "generation": current.id.generation(),
                "expires_at": current.credentials.expiry(),
            })
        }))
    }

    /// Adds the receipt to a result. The rest of the server's `_meta` is kept; a receipt that the server wrote itself
    /// is replaced or removed.
    pub(super) fn add_to(self, result: &mut Value) {
        let Value::Object(fields) = result else { return };
        if let Some(Value::Object(meta)) = fields.get_mut("_meta") {
            meta.shift_remove(RECEIPT_KEY);
        }
        let Some(receipt) = self.0 else { return };
        match fields.entry("_meta").or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(meta) => drop(meta.insert(RECEIPT_KEY.to_owned(), receipt)),
            // The protocol allows only an object.
            malformed => *malformed = json!({RECEIPT_KEY: receipt}),
        }
    }
}

impl McpHost {
    /// Calls a tool by the server's own name, also one that the configuration hides, and returns its result unmasked.
    pub(crate) async fn call_unmasked(
        &self,
        server: &str,
        tool: &str,
        arguments: Map<String, Value>,
        cancelled: &CancellationToken,
    ) -> Result<Value> {
        let table = self.table();
        let found = table.servers.iter().find(|found| found.name() == server);
        let unknown = || Error::new(ErrorKind::NotConfigured, "the server is not configured");
        let server = found.ok_or_else(unknown)?;
        let params = json!({"name": tool, "arguments": arguments});
        server.call(params, &ClientContext::without_client(cancelled)).await
    }
}

/// Rounds inexact numbers of a result, for callers that read values and do not write them as JSON.
pub(super) fn round_result(mut result: Value) -> Value {
    round_numbers(&mut result);
    result
}

/// Converts an error into an MCP result.
pub(crate) fn error_result(error: &Error) -> Value {
    let output = ToolOutput::error(error);
    json!({
        "content": [{"type": "text", "text": output.text}],
        "structuredContent": output.structured,
        "isError": true,
    })
}
