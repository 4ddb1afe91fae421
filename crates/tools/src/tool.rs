//! `Tool`: one thing a model may call, whatever framework or protocol carries the call.

mod definition;
mod output;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

pub use definition::{ToolAnnotations, ToolDefinition};
pub use output::ToolOutput;

/// One thing a model may call.
///
/// # What an implementor owes
/// - *Failures are results.* A call ends in a [`ToolOutput`]; what went wrong, and what to do next, is in it.
/// - *No secret in a result,* and no input repeated in an error: both go to a model.
/// - *Concurrent and cancel safe.* Calls may overlap, and a call may be dropped at any await.
#[async_trait]
pub trait Tool: Send + Sync {
    /// What a model is told about the tool; the same for the life of the tool.
    fn definition(&self) -> &ToolDefinition;

    /// Runs the tool. `input` is the JSON object of arguments; `null` stands for no arguments.
    async fn call(&self, input: Value) -> ToolOutput;
}

/// A shared tool is a tool.
#[async_trait]
impl<T: Tool + ?Sized> Tool for Arc<T> {
    fn definition(&self) -> &ToolDefinition {
        T::definition(self)
    }

    async fn call(&self, input: Value) -> ToolOutput {
        T::call(self, input).await
    }
}
