//! `close_credential_session`: closes a narrowed session before it expires.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `credential_session` | string | the handle of the narrowed session (required) |
//!
//! # Result
//! `{"closed": true}`. The sessions that were narrowed from this one are closed too. The tool set's own session has no
//! handle, so no call closes it.
//!
//! # Errors
//! - `Invalid`: the handle is missing or malformed.
//! - `Closed`: no open session has this handle.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::Result;

use crate::arguments::{ToolArguments, missing_field};
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Shared by the tools of all sessions: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);

/// Closes a narrowed session.
pub(crate) struct CloseSession {
    sessions: SessionStore,
}

impl CloseSession {
    pub(crate) fn new(sessions: SessionStore) -> Self {
        Self { sessions }
    }

    fn close(&self, input: Value) -> Result<ToolOutput> {
        let mut arguments = ToolArguments::parse(&DEFINITION, input)?;
        let narrowed = self.sessions.narrowed_session_for_call(&mut arguments)?;
        narrowed.ok_or_else(|| missing_field(sessions::CREDENTIAL_SESSION_ARG))?.close();
        Ok(ToolOutput::ok("Successfully closed the narrowed credential session")
            .with_structured(json!({"closed": true})))
    }
}

#[async_trait]
impl Tool for CloseSession {
    fn definition(&self) -> &ToolDefinition {
        &DEFINITION
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.close(input).into()
    }
}

fn definition() -> ToolDefinition {
    let description = "Close a narrowed credential session before its time is up, and what was narrowed from it. Its \
                       handle is of no use any more. Call it when the sub-agent is done.";
    let schema = json!({
        "type": "object",
        "properties": {sessions::CREDENTIAL_SESSION_ARG: {"type": "string", "description": "Handle of narrow_aws_credentials"}},
        "required": [sessions::CREDENTIAL_SESSION_ARG],
        "additionalProperties": false,
    });
    let output = json!({"type": "object", "properties": {"closed": {"const": true}}, "required": ["closed"]});
    ToolDefinition::new("close_credential_session", description, schema)
        .title("Close a credential session")
        .output_schema(output)
        .annotations(ToolAnnotations::default().idempotent().closed_world())
}
