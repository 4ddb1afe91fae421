//! `set_service_context_info`: stores the service context for the other sub-agents.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `service_info_json` | object or JSON text | the context; it may also be passed as the arguments themselves |
//! | `service_id` | string or number | the id of the service, repeated in the result |
//! | `credential_session` | string | the handle of a narrowed session |
//!
//! # Result
//! `{"service_id": …}`, with `unknown` if the context names no id of at most 128 characters on one line.
//!
//! # Errors
//! - `Invalid`: the context is missing, not an object, or longer than 256 KiB of JSON.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use valetkey_core::{Error, Result};

use crate::arguments::{ToolArguments, missing_field};
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Shared by the tools of all sessions: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);

/// The argument of the previous version of this tool. The facts may also be passed as the arguments themselves.
const SERVICE_INFO_ARG: &str = "service_info_json";
/// The maximum size of the context as JSON: a session is not a data store.
const MAX_CONTEXT_BYTES: usize = 256 * 1024;
/// The maximum length of a service name that the output repeats.
const MAX_NAME_CHARACTERS: usize = 128;

/// Stores a session's service context.
pub(crate) struct SetServiceContext {
    sessions: SessionStore,
}

impl SetServiceContext {
    pub(crate) fn new(sessions: SessionStore) -> Self {
        Self { sessions }
    }

    fn set(&self, input: Value) -> Result<ToolOutput> {
        let mut arguments = ToolArguments::parse(&DEFINITION, input)?;
        let session = self.sessions.session_for_call(&mut arguments)?;
        let context = parse_facts(arguments)?;
        let name = service_name(&context);
        session.set_service_context(Value::Object(context))?;
        let text = format!("Successfully set service context for: {name}");
        Ok(ToolOutput::ok(text).with_structured(json!({"service_id": name})))
    }
}

#[async_trait]
impl Tool for SetServiceContext {
    fn definition(&self) -> &ToolDefinition {
        &DEFINITION
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.set(input).into()
    }
}

fn parse_facts(mut arguments: ToolArguments) -> Result<Map<String, Value>> {
    let context = if arguments.contains(SERVICE_INFO_ARG) {
        arguments.take_object(SERVICE_INFO_ARG)?
    } else {
        arguments.into_fields()
    };
    if context.is_empty() {
        return Err(missing_field(SERVICE_INFO_ARG));
    }
    if serde_json::to_vec(&context).is_ok_and(|json| json.len() > MAX_CONTEXT_BYTES) {
        return Err(Error::invalid(SERVICE_INFO_ARG, "must be at most 256 KiB of JSON")
            .with_next_step("keep only the facts needed"));
    }
    Ok(context)
}

/// Returns the `service_id` if it fits on one line, or `unknown` if it is absent.
fn service_name(context: &Map<String, Value>) -> String {
    let id = match context.get("service_id") {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let fits = (1..=MAX_NAME_CHARACTERS).contains(&id.chars().count()) && !id.chars().any(char::is_control);
    if fits { id } else { "unknown".to_owned() }
}

fn definition() -> ToolDefinition {
    let description = "Keep facts on the service at hand (id, name, cluster, region …) in the session's context, for \
                       the other sub-agents. They replace those that were set before. Not for secrets.";
    let schema = json!({
        "type": "object",
        "properties": {
            SERVICE_INFO_ARG: {
                "description": "The facts, as an object or as JSON text; or give the facts as arguments of their own",
                "type": ["string", "object"],
            },
            "service_id": {"type": ["string", "number"], "description": "The id of the service"},
            sessions::CREDENTIAL_SESSION_ARG: sessions::session_argument_schema(),
        },
        "additionalProperties": true,
    });
    let output = json!({"type": "object", "properties": {"service_id": {"type": "string"}}, "required": ["service_id"]});
    ToolDefinition::new("set_service_context_info", description, schema)
        .title("Set service context")
        .output_schema(output)
        .annotations(ToolAnnotations::default().idempotent().closed_world())
}
