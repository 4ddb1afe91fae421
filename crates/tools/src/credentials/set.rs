//! `set_aws_credentials_context`: gives the session credentials.

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use valetkey_core::{Alias, Credentials, Result};

use super::{account_schema, status, status_schema};
use crate::arguments::{Arguments, account};
use crate::sessions::{self, Sessions};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

const FIELD: &str = "credentials_json";

/// Sets the credentials of one account of a session.
pub(crate) struct SetCredentials {
    sessions: Sessions,
    definition: ToolDefinition,
}

impl SetCredentials {
    pub(crate) fn new(sessions: Sessions) -> Self {
        Self { sessions, definition: definition() }
    }

    fn set(&self, input: Value) -> Result<ToolOutput> {
        let mut arguments = Arguments::parse(&self.definition, input)?;
        let session = self.sessions.of(&mut arguments)?;
        let (fields, named) = read(arguments)?;
        let account = named.unwrap_or_else(|| session.default_account().clone());
        self.sessions.check_settable(&account)?;
        let credentials = Credentials::from_json_value(&Value::Object(fields), "context")?;
        let own = credentials.region().cloned();
        session.set_credentials_for(&account, credentials)?;
        let region = own.unwrap_or_else(|| session.resolved_region(&account));
        let text = format!("Successfully set AWS credentials in context for region: {region}");
        Ok(ToolOutput::ok(text).with_structured(status(&session, &account)?))
    }
}

#[async_trait]
impl Tool for SetCredentials {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.set(input).into()
    }
}

/// The credentials' fields, and the account named beside them or among them.
fn read(mut arguments: Arguments) -> Result<(Map<String, Value>, Option<Alias>)> {
    let beside = arguments.account()?;
    let fields = arguments.object(FIELD)?;
    let named = beside.map_or_else(|| account(&fields), |alias| Ok(Some(alias)))?;
    Ok((fields, named))
}

fn definition() -> ToolDefinition {
    let description = "Set AWS credentials in the session's context, for use by every sub-agent and MCP tool of this \
                       session. They replace those that were set before.";
    let properties = json!({
        FIELD: {
            "description": "The credentials, as an object or as JSON text",
            "anyOf": [{"type": "string"}, fields_schema()],
        },
        "account": account_schema(),
    });
    let schema = sessions::input_schema(properties, &[FIELD]);
    ToolDefinition::new("set_aws_credentials_context", description, schema)
        .title("Set AWS credentials")
        .output_schema(status_schema())
        .annotations(ToolAnnotations {
            read_only: false,
            destructive: true,
            idempotent: true,
            open_world: false,
        })
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
