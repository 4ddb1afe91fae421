//! `ToolDefinition`: what a model is told about a tool before it calls it.

use std::borrow::Cow;

use serde_json::Value;

/// What a model is told about a tool.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolDefinition {
    /// The name by which the tool is called; unique within a set.
    pub name: Cow<'static, str>,
    /// A name for people.
    pub title: Option<Cow<'static, str>>,
    /// What the tool does and when to use it.
    pub description: Cow<'static, str>,
    /// The arguments, as a JSON Schema of an object.
    pub input_schema: Value,
    /// The structured content of a success, as a JSON Schema of an object.
    pub output_schema: Option<Value>,
    /// What a call may do to the world.
    pub annotations: ToolAnnotations,
}

/// What a call may do to the world: hints, in the words of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ToolAnnotations {
    /// A call changes nothing.
    pub read_only: bool,
    /// A call may remove or replace something.
    pub destructive: bool,
    /// A second, equal call changes nothing more.
    pub idempotent: bool,
    /// A call reaches beyond the session.
    pub open_world: bool,
}

impl ToolDefinition {
    /// A definition with what every tool has; `input_schema` is a JSON Schema of an object.
    #[must_use]
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
        input_schema: Value,
    ) -> Self {
        Self {
            name: name.into(),
            title: None,
            description: description.into(),
            input_schema,
            output_schema: None,
            annotations: ToolAnnotations::default(),
        }
    }

    /// Sets the name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Describes the structured content of a success.
    #[must_use]
    pub fn output_schema(mut self, schema: Value) -> Self {
        self.output_schema = Some(schema);
        self
    }

    /// Says what a call may do to the world.
    #[must_use]
    pub fn annotations(mut self, annotations: ToolAnnotations) -> Self {
        self.annotations = annotations;
        self
    }
}

/// What MCP assumes of a tool that says nothing: the worst.
impl Default for ToolAnnotations {
    fn default() -> Self {
        Self { read_only: false, destructive: true, idempotent: false, open_world: true }
    }
}
