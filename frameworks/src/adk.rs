//! Tools of [ADK-Rust](adk_core): the host selects the tool set of a call by its context.

use std::sync::Arc;

use adk_core::{AdkError, Result, Tool, ToolContext};
use async_trait::async_trait;
use serde_json::Value;
use valetkey::tools::{ToolDefinition, ToolSet};

use crate::{Narrowing, no_session, no_tool};

/// Returns the tools of the session that a call belongs to, or `None` if it belongs to none.
pub type SelectTools = dyn Fn(&dyn ToolContext) -> Option<ToolSet> + Send + Sync;

/// One agent tool, for all sessions.
struct SessionTool {
    definition: ToolDefinition,
    select: Arc<SelectTools>,
    narrowing: Narrowing,
}

/// Returns a tool for each definition, which acts with what `select` returns for the context of a call, narrowed by the
/// call's [`delegation_depth`](ToolContext::delegation_depth) and [`user_scopes`](ToolContext::user_scopes).
#[must_use]
pub fn tools(
    definitions: &[ToolDefinition],
    narrowing: Narrowing,
    select: impl Fn(&dyn ToolContext) -> Option<ToolSet> + Send + Sync + 'static,
) -> Vec<Arc<dyn Tool>> {
    let select: Arc<SelectTools> = Arc::new(select);
    let tool = |definition: &ToolDefinition| -> Arc<dyn Tool> {
        let (definition, select) = (definition.clone(), Arc::clone(&select));
        Arc::new(SessionTool { definition, select, narrowing: narrowing.clone() })
    };
    definitions.iter().map(tool).collect()
}

#[async_trait]
impl Tool for SessionTool {
    fn name(&self) -> &str {
        &self.definition.name
    }

    fn description(&self) -> &str {
        &self.definition.description
    }

    fn parameters_schema(&self) -> Option<Value> {
        Some(self.definition.input_schema.clone())
    }

    fn response_schema(&self) -> Option<Value> {
        self.definition.output_schema.clone()
    }

    fn is_read_only(&self) -> bool {
        self.definition.annotations.read_only
    }

    fn is_concurrency_safe(&self) -> bool {
        true
    }

    async fn execute(&self, context: Arc<dyn ToolContext>, input: Value) -> Result<Value> {
        let tools = (self.select)(&*context).ok_or_else(|| AdkError::tool(no_session().to_string()))?;
        let tools = self.narrowing.apply(tools, context.delegation_depth(), &context.user_scopes());
        let tools = tools.map_err(|error| AdkError::tool(error.to_string()))?;
        let output = tools.call(self.name(), input).await;
        let output = output.ok_or_else(|| AdkError::tool(no_tool().to_string()))?;
        if output.is_error {
            return Err(AdkError::tool(output.text));
        }
        Ok(output.structured.unwrap_or(Value::String(output.text)))
    }
}
