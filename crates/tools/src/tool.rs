//! `Tool`: an operation that a model may call, independent of framework and protocol.

mod definition;
mod output;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

pub use definition::{ToolAnnotations, ToolDefinition};
pub use output::ToolOutput;

use crate::Approver;

/// An operation that a model may call.
///
/// # Contract for implementors
/// - *Failures are results.* A call always returns a [`ToolOutput`]; a failed call reports the cause and the next step
///   in it.
/// - *No secrets in results.* A result contains no secret and an error repeats no input, because both go to a model.
/// - *Concurrent and cancel safe.* Calls may overlap, and a call may be dropped at any await point.
///
/// # Examples
/// ```
/// # use async_trait::async_trait;
/// # use serde_json::{Value, json};
/// # use valetkey_tools::{Tool, ToolDefinition, ToolOutput};
/// struct Echo(ToolDefinition);
///
/// #[async_trait]
/// impl Tool for Echo {
///     fn definition(&self) -> &ToolDefinition {
///         &self.0
///     }
///
///     async fn call(&self, input: Value) -> ToolOutput {
///         ToolOutput::ok(input.to_string())
///     }
/// }
///
/// let echo = Echo(ToolDefinition::new("echo", "Returns its input", json!({"type": "object"})));
/// assert_eq!(echo.definition().name, "echo");
/// ```
#[async_trait]
pub trait Tool: Send + Sync {
    /// Returns the definition that a model receives. It does not change during the life of the tool.
    fn definition(&self) -> &ToolDefinition;

    /// Runs the tool. `input` is the JSON object of arguments; `null` means no arguments.
    async fn call(&self, input: Value) -> ToolOutput;

    /// Runs the tool for a caller that can reach a person (default: [`call`](Self::call), for a tool that needs none).
    async fn call_with(&self, input: Value, _approver: &dyn Approver) -> ToolOutput {
        self.call(input).await
    }
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

    async fn call_with(&self, input: Value, approver: &dyn Approver) -> ToolOutput {
        T::call_with(self, input, approver).await
    }
}
