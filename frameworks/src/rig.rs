//! Tools of [rig](rig_core): the tool set of a session is a scope of the context of each call.

use std::borrow::Cow;
use std::sync::Arc;

use rig_core::message::ToolName;
use rig_core::tool::{DynamicTool, ToolContext, ToolExecutionError, ToolOutput};
use serde_json::Value;
use valetkey::tools::{ToolDefinition, ToolSet};

use crate::{no_session, no_tool};

/// Returns a tool for each definition. Definitions without a name, which no agent could call, are left out.
#[must_use]
pub fn tools(definitions: &[ToolDefinition]) -> Vec<DynamicTool> {
    definitions.iter().filter_map(tool).collect()
}

/// Returns the context of an invocation that acts with these tools.
#[must_use]
pub fn context(tools: ToolSet) -> ToolContext {
    ToolContext::new().with_scope(Arc::new(tools))
}

fn tool(definition: &ToolDefinition) -> Option<DynamicTool> {
    let name = ToolName::new(definition.name.as_ref()).ok()?;
    let (description, schema) = (definition.description.as_ref(), definition.input_schema.clone());
    let called = definition.name.clone();
    Some(DynamicTool::new_with_context(name, description, schema, move |context, input| {
        Box::pin(call(context.scope::<ToolSet>(), called.clone(), input))
    }))
}

async fn call(
    tools: Option<Arc<ToolSet>>,
    name: Cow<'static, str>,
    input: Value,
) -> Result<ToolOutput, ToolExecutionError> {
    let tools = tools.ok_or_else(|| ToolExecutionError::refused(no_session().to_string()))?;
    let output = tools.call(&name, input).await;
    let output = output.ok_or_else(|| ToolExecutionError::not_found(no_tool().to_string()))?;
    if output.is_error {
        return Err(ToolExecutionError::other(output.text));
    }
    Ok(output.structured.map_or_else(|| ToolOutput::text(output.text), ToolOutput::json))
}
