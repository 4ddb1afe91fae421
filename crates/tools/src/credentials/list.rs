//! `list_aws_accounts`: lists the accounts that a model may choose from, by alias.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `credential_session` | string | the handle of a narrowed session, which may have fewer accounts |
//!
//! # Result
//! `{"accounts": […]}`: the [status](super::account_status) of each account, the default account first. Nothing is
//! fetched, so an account that was not used yet has no `key_suffix`.
//!
//! # Errors
//! - `Closed`: the session has ended.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::Result;

use super::status_schema;
use crate::arguments::ToolArguments;
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Shared by the tools of all sessions: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);

/// Lists the accounts of a session.
pub(crate) struct ListAccounts {
    sessions: SessionStore,
}

impl ListAccounts {
    pub(crate) fn new(sessions: SessionStore) -> Self {
        Self { sessions }
    }

    fn list(&self, input: Value) -> Result<ToolOutput> {
        let session = self.sessions.session_for_call(&mut ToolArguments::parse(&DEFINITION, input)?)?;
        // Fails if the session has ended; `status` does not.
        session.account(session.default_account())?;
        Ok(ToolOutput::json(json!({"accounts": session.status().accounts})))
    }
}

#[async_trait]
impl Tool for ListAccounts {
    fn definition(&self) -> &ToolDefinition {
        &DEFINITION
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.list(input).into()
    }
}

fn definition() -> ToolDefinition {
    let description = "List the AWS accounts of this session by alias, the default one first, with what their \
                       credentials are: region, last four characters of the key id, expiry. Other tools take an alias \
                       as `account`.";
    let output = json!({
        "type": "object",
        "properties": {"accounts": {"type": "array", "items": status_schema()}},
        "required": ["accounts"],
    });
    let schema = sessions::input_schema(json!({}), &[]);
    ToolDefinition::new("list_aws_accounts", description, schema)
        .title("List AWS accounts")
        .output_schema(output)
        .annotations(ToolAnnotations::default().read_only().closed_world())
}
