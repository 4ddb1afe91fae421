//! `get_service_context_info`: returns the service context unchanged.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `credential_session` | string | the handle of a narrowed session |
//!
//! # Result
//! The object that `set_service_context_info` stored, with its keys in the same order.
//!
//! # Errors
//! The text of an error is JSON as well.
//! - `NotConfigured`: no service context was set, or it was cleared.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::{Error, Result};

use crate::arguments::ToolArguments;
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Shared by the tools of all sessions: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);

/// Returns a session's service context.
pub(crate) struct GetServiceContext {
    sessions: SessionStore,
}

impl GetServiceContext {
    pub(crate) fn new(sessions: SessionStore) -> Self {
        Self { sessions }
    }

    fn get(&self, input: Value) -> Result<ToolOutput> {
        let session = self.sessions.session_for_call(&mut ToolArguments::parse(&DEFINITION, input)?)?;
        let context = session.service_context().ok_or_else(|| {
            Error::not_configured("no service context found")
                .with_next_step("call `set_service_context_info` first")
        })?;
        Ok(ToolOutput::json(Value::clone(&context)))
    }
}

#[async_trait]
impl Tool for GetServiceContext {
    fn definition(&self) -> &ToolDefinition {
        &DEFINITION
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.get(input).unwrap_or_else(|error| ToolOutput::error_json(&error))
    }
}

fn definition() -> ToolDefinition {
    let description = "Get the facts on the service at hand that were set with set_service_context_info.";
    let schema = sessions::input_schema(json!({}), &[]);
    ToolDefinition::new("get_service_context_info", description, schema)
        .title("Get service context")
        .output_schema(json!({"type": "object"}))
        .annotations(ToolAnnotations::default().read_only().closed_world())
}
