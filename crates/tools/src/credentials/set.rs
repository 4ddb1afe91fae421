//! `set_aws_credentials_context`: sets credentials on the session.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `credentials_json` | object or JSON text | the credentials: `access_key_id` and `secret_access_key`; optionally `session_token`, `region`, `expires_at`, `account_id`, `account` |
//! | `account` | string | the alias of the account (default: the one among the credentials, or else the session's default account) |
//! | `credential_session` | string | the handle of a narrowed session; such a session accepts no credentials |
//!
//! # Result
//! The [status](super::account_status) of the account, which contains no secret.
//!
//! # Errors
//! - `Invalid`: a field is missing, malformed or unknown, or the credentials have expired.
//! - `Denied`: the session is narrowed, or the account gets its credentials from the host's configuration.
//! - `Closed`: the session has ended.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use valetkey_core::{AccountName, Credentials, Result};

use super::{account_schema, account_status, status_schema};
use crate::arguments::{ToolArguments, account};
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Shared by the tools of all sessions: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);

const CREDENTIALS_ARG: &str = "credentials_json";

/// Sets the credentials of one account of a session.
pub(crate) struct SetCredentials {
    sessions: SessionStore,
}

impl SetCredentials {
    pub(crate) fn new(sessions: SessionStore) -> Self {
        Self { sessions }
    }

    fn set(&self, input: Value) -> Result<ToolOutput> {
        let mut arguments = ToolArguments::parse(&DEFINITION, input)?;
        let session = self.sessions.session_for_call(&mut arguments)?;
        let (fields, named) = parse_input(arguments)?;
        let account = named.unwrap_or_else(|| session.default_account().clone());
        self.sessions.check_settable(&account)?;
        let credentials = Credentials::from_json_value(&Value::Object(fields), "context")?;
        let own = credentials.region().cloned();
        session.for_account(&account).set_credentials(credentials)?;
        let region = own.unwrap_or_else(|| session.for_account(&account).resolved_region());
        let text = format!("Successfully set AWS credentials in context for region: {region}");
        Ok(ToolOutput::ok(text).with_structured(account_status(&session, &account)?))
    }
}

#[async_trait]
impl Tool for SetCredentials {
    fn definition(&self) -> &ToolDefinition {
        &DEFINITION
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.set(input).into()
    }
}

/// Returns the fields of the credentials, and the account named next to them or among them.
fn parse_input(mut arguments: ToolArguments) -> Result<(Map<String, Value>, Option<AccountName>)> {
    let beside = arguments.account()?;
    let fields = arguments.take_object(CREDENTIALS_ARG)?;
    let named = beside.map_or_else(|| account(&fields), |alias| Ok(Some(alias)))?;
    Ok((fields, named))
}

fn definition() -> ToolDefinition {
    let description = "Set AWS credentials in the session's context, for use by every sub-agent and MCP tool of this \
                       session. They replace those that were set before.";
    let properties = json!({
        CREDENTIALS_ARG: {
            "description": "The credentials, as an object or as JSON text",
            "anyOf": [{"type": "string"}, fields_schema()],
        },
        "account": account_schema(),
    });
    let schema = sessions::input_schema(properties, &[CREDENTIALS_ARG]);
    ToolDefinition::new("set_aws_credentials_context", description, schema)
        .title("Set AWS credentials")
        .output_schema(status_schema())
        .annotations(ToolAnnotations::default().idempotent().closed_world())
}

fn fields_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "access_key_id": {"type": "string"},
            "secret_access_key": {"type": "string"},
            "session_token": {"type": "string", "description": "For temporary credentials"},
            "region": {"type": "string", "description": "That of the account or the session if left out"},
            "expires_at": {"type": "string", "format": "date-time", "description": "For temporary credentials"},
            "account_id": {"type": "string", "description": "The twelve-digit AWS account id"},
            "account": account_schema(),
        },
        "required": ["access_key_id", "secret_access_key"],
    })
}
