//! `get_service_context_info`: gives the facts back, unchanged.

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::{Error, Result, SessionContext};

use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Gives a session's service context back.
pub(crate) struct GetServiceContext {
    session: SessionContext,
    definition: ToolDefinition,
}

impl GetServiceContext {
    pub(crate) fn new(session: SessionContext) -> Self {
        Self { session, definition: definition() }
    }

    fn get(&self) -> Result<ToolOutput> {
        let facts = self.session.service_context().ok_or_else(|| {
            Error::not_configured("no service context found")
                .with_next_step("call `set_service_context_info` first")
        })?;
        Ok(ToolOutput::json(Value::clone(&facts)))
    }
}

#[async_trait]
impl Tool for GetServiceContext {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, _: Value) -> ToolOutput {
        self.get().into()
    }
}

fn definition() -> ToolDefinition {
    let description = "Get the facts on the service at hand that were set with set_service_context_info.";
    ToolDefinition::new("get_service_context_info", description, json!({"type": "object", "properties": {}}))
        .title("Get service context")
        .output_schema(json!({"type": "object"}))
        .annotations(ToolAnnotations {
            read_only: true,
            destructive: false,
            idempotent: true,
            open_world: false,
        })
}
