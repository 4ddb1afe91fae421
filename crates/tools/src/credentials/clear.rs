//! `clear_credential_context`: wipes the session.

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::SessionContext;

use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Wipes everything a session was given.
pub(crate) struct ClearCredentials {
    session: SessionContext,
    definition: ToolDefinition,
}

impl ClearCredentials {
    pub(crate) fn new(session: SessionContext) -> Self {
        Self { session, definition: definition() }
    }
}

#[async_trait]
impl Tool for ClearCredentials {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    /// Clears whatever the input: a wipe that is asked for is never refused.
    async fn call(&self, _: Value) -> ToolOutput {
        self.session.clear();
        ToolOutput::ok("Successfully cleared all credentials and context from memory")
            .with_structured(json!({"cleared": true}))
    }
}

fn definition() -> ToolDefinition {
    let description = "Clear all credentials and the service context from the session's memory. Running tools lose \
                       access at once. Call it when the work is done.";
    let output =
        json!({"type": "object", "properties": {"cleared": {"const": true}}, "required": ["cleared"]});
    ToolDefinition::new("clear_credential_context", description, json!({"type": "object", "properties": {}}))
        .title("Clear credentials")
        .output_schema(output)
        .annotations(ToolAnnotations {
            read_only: false,
            destructive: true,
            idempotent: true,
            open_world: false,
        })
}
