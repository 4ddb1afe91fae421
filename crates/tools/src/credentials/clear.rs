//! `clear_credential_context`: clears the session.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `credential_session` | string | the handle of a narrowed session, which is closed instead (default: the session is cleared) |
//!
//! # Result
//! `{"cleared": true}`. Calls in flight may finish with the credentials that their program has cached; later calls are
//! refused until credentials are set or an account is refreshed.
//!
//! # Errors
//! - `Invalid`: an argument is unknown or misspelt. Nothing is cleared then.
//! - `Closed`: no open session has this handle.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::Result;

use crate::arguments::ToolArguments;
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Shared by the tools of all sessions: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);

/// Clears all credentials and context of a session.
pub(crate) struct ClearCredentials {
    sessions: SessionStore,
}

impl ClearCredentials {
    pub(crate) fn new(sessions: SessionStore) -> Self {
        Self { sessions }
    }

    /// Clears the session on which the call acts. Misspelt arguments are refused, because they may name another
    /// session.
    fn clear(&self, input: Value) -> Result<ToolOutput> {
        let session = self.sessions.session_for_call(&mut ToolArguments::parse(&DEFINITION, input)?)?;
        session.clear();
        if session.id() == self.sessions.own().id() {
            // They are no children of the session.
            self.sessions.close_granted();
        }
        Ok(ToolOutput::ok("Successfully cleared all credentials and context from memory")
            .with_structured(json!({"cleared": true})))
    }
}

#[async_trait]
impl Tool for ClearCredentials {
    fn definition(&self) -> &ToolDefinition {
        &DEFINITION
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.clear(input).into()
    }
}

fn definition() -> ToolDefinition {
    let description = "Clear all credentials and the service context from the session's memory. Tools are refused \
                       from their next call on; a call under way may finish with what its program has cached. Call it \
                       when the work is done.";
    let output =
        json!({"type": "object", "properties": {"cleared": {"const": true}}, "required": ["cleared"]});
    let schema = sessions::input_schema(json!({}), &[]);
    ToolDefinition::new("clear_credential_context", description, schema)
        .title("Clear credentials")
        .output_schema(output)
        .annotations(ToolAnnotations::default().idempotent().closed_world())
}
