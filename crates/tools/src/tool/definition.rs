//! `ToolDefinition`: the description of a tool that a model receives before it calls the tool.

use std::borrow::Cow;

use serde_json::Value;

/// The description of a tool that a model receives.
///
/// # Examples
/// ```
/// use serde_json::json;
/// use valetkey_tools::{ToolAnnotations, ToolDefinition};
///
/// let input = json!({"type": "object", "properties": {"bucket": {"type": "string"}}, "required": ["bucket"]});
/// let definition = ToolDefinition::new("list_objects", "Lists the objects of a bucket", input)
///     .title("List objects")
///     .output_schema(json!({"type": "object", "properties": {"keys": {"type": "array"}}}))
///     .annotations(ToolAnnotations::default().read_only());
/// assert_eq!(definition.title.as_deref(), Some("List objects"));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolDefinition {
    /// The name by which the tool is called, unique within a tool set.
    pub name: Cow<'static, str>,
    /// A display name for people.
    pub title: Option<Cow<'static, str>>,
    /// What the tool does and when to use it.
    pub description: Cow<'static, str>,
    /// The JSON Schema of the arguments, which are an object.
    pub input_schema: Value,
    /// The JSON Schema of the structured content of a successful call, which is an object.
    pub output_schema: Option<Value>,
    /// Hints on the effects of a call.
    pub annotations: ToolAnnotations,
}

/// Hints on the effects of a call, as MCP defines them. The default assumes the worst: that a call may destroy data, has
/// a further effect each time, and reaches systems outside the session.
///
/// # Examples
/// ```
/// use valetkey_tools::ToolAnnotations;
///
/// let listing = ToolAnnotations::default().read_only().closed_world();
/// assert!(!listing.destructive && listing.idempotent && !listing.open_world);
/// ```
///
/// Clients use them to decide whether a person must confirm a call. They are hints: a client must not trust them for
/// tools of servers that it does not trust.
///
/// # Examples
/// ```
/// use valetkey_tools::ToolAnnotations;
///
/// // The defaults are the most cautious values.
/// let annotations = ToolAnnotations::default();
/// assert!(annotations.destructive && annotations.open_world && !annotations.read_only);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ToolAnnotations {
    /// A call changes nothing.
    pub read_only: bool,
    /// A call may remove or replace data.
    pub destructive: bool,
    /// Repeating a call with the same arguments has no further effect.
    pub idempotent: bool,
    /// A call interacts with systems outside the session.
    pub open_world: bool,
}

impl ToolAnnotations {
    /// States that a call changes nothing. It is therefore not destructive, and idempotent.
    #[must_use]
    pub const fn read_only(self) -> Self {
        Self { read_only: true, destructive: false, idempotent: true, ..self }
    }

    /// States that a call only adds: it neither removes nor replaces data.
    #[must_use]
    pub const fn additive(self) -> Self {
        Self { destructive: false, ..self }
    }

    /// States that repeating a call with the same arguments has no further effect.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// States that a call interacts with no system outside the session.
    #[must_use]
    pub const fn closed_world(self) -> Self {
        Self { open_world: false, ..self }
    }
}

impl ToolDefinition {
    /// Creates a definition without title and output schema and with the default annotations. `input_schema` is the
    /// JSON Schema of an object.
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

    /// Sets the display name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the JSON Schema of the structured content of a successful call.
    #[must_use]
    pub fn output_schema(mut self, schema: Value) -> Self {
        self.output_schema = Some(schema);
        self
    }

    /// Sets the hints on the effects of a call.
    #[must_use]
    pub fn annotations(mut self, annotations: ToolAnnotations) -> Self {
        self.annotations = annotations;
        self
    }
}

/// The values that MCP assumes for a tool without annotations, which are the most cautious.
impl Default for ToolAnnotations {
    fn default() -> Self {
        Self { read_only: false, destructive: true, idempotent: false, open_world: true }
    }
}
