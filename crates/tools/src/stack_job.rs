//! `extract_and_set_credentials_from_stack_job`: reads a credential id from a stack job and sets the credentials that
//! the session's resolver returns for it.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `stack_job_json` | object or JSON text | the stack job, unchanged; field names may be in snake case or camel case |
//! | `credential_session` | string | the handle of a narrowed session |
//!
//! Two places of the job are read: the credential id at `spec.provider_credential_id` or
//! `spec.essentials.provider_credential_info.id`, and the region at `spec.target.spec.aws_account_region`.
//!
//! # Result
//! The status of the default account, and `provider_credential_id`. The keys themselves are neither in the arguments
//! nor in the result.
//!
//! # Errors
//! - `Invalid`: the job names no credential id, or a field has the wrong type.
//! - `NotConfigured`: the session has no resolver, or the resolver does not know the id.
//! - `Denied`: the default account gets its credentials from the host's configuration.
//! - The kind of the resolver's error otherwise.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use valetkey_core::{CredentialId, Error, Region, Result};

use crate::arguments::{ToolArguments, missing_field};
use crate::credentials::status_schema;
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// Shared by the tools of all sessions: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);

const STACK_JOB_ARG: &str = "stack_job_json";
const CREDENTIAL_ID_PATH: &str = "spec.provider_credential_id";
const REGION_PATH: &str = "spec.target.spec.aws_account_region";

/// Sets the credentials that a stack job names.
pub(crate) struct SetFromStackJob {
    sessions: SessionStore,
}

/// The fields of a stack job that concern credentials.
struct StackJob {
    credential_id: CredentialId,
    region: Option<Region>,
}

impl SetFromStackJob {
    pub(crate) fn new(sessions: SessionStore) -> Self {
        Self { sessions }
    }

    async fn set_from_job(&self, input: Value) -> Result<ToolOutput> {
        let mut arguments = ToolArguments::parse(&DEFINITION, input)?;
        let session = self.sessions.session_for_call(&mut arguments)?;
        self.sessions.check_settable(session.default_account())?;
        let job = StackJob::parse(&arguments.take_object(STACK_JOB_ARG)?)?;
        let id = job.credential_id;
        let adopted = session.set_from_resolver(&id, job.region).await?;
        let region = adopted.region.clone().unwrap_or_else(Region::us_east_1);
        let key = match &adopted.key_suffix {
            Some(last_four) => format!("access key ending in {last_four}"),
            None => "to be exchanged for temporary credentials at the first use".to_owned(),
        };
        let text = format!("Successfully extracted and set AWS credentials: {id} in region {region}, {key}");
        let mut shown = json!(adopted);
        shown["provider_credential_id"] = json!(id);
        Ok(ToolOutput::ok(text).with_structured(shown))
    }
}

#[async_trait]
impl Tool for SetFromStackJob {
    fn definition(&self) -> &ToolDefinition {
        &DEFINITION
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.set_from_job(input).await.into()
    }
}

impl StackJob {
    /// Parses the forms that platforms send: protobuf field names or their camel-case JSON names, with the id in the
    /// job itself or in its essentials.
    fn parse(job: &Map<String, Value>) -> Result<Self> {
        let direct = ["spec", "provider_credential_id"];
        let among_essentials = ["spec", "essentials", "provider_credential_info", "id"];
        let id = match find_text(job, &direct)? {
            Some(id) => Some(id),
            None => find_text(job, &among_essentials)?,
        };
        let region = find_text(job, &["spec", "target", "spec", "aws_account_region"])?;
        Ok(Self {
            credential_id: CredentialId::parse(
                CREDENTIAL_ID_PATH,
                id.ok_or_else(|| missing_field(CREDENTIAL_ID_PATH))?,
            )?,
            region: region.map(|region| Region::parse(REGION_PATH, region)).transpose()?,
        })
    }
}

/// Returns the text at the end of `path`, if it is present and not blank. Each name matches in snake case and in camel
/// case.
fn find_text<'a>(job: &'a Map<String, Value>, path: &[&str]) -> Result<Option<&'a str>> {
    let Some((last, parents)) = path.split_last() else { return Ok(None) };
    let mut here = job;
    for (depth, name) in parents.iter().enumerate() {
        match get_member(here, name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(fields)) => here = fields,
            Some(_) => {
                return Err(Error::invalid(path[..=depth].join("."), "must be a JSON object")
                    .with_next_step("send the stack job unchanged"));
            }
        }
    }
    match get_member(here, last) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(Error::invalid(path.join("."), "must be a string")),
    }
}

fn get_member<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).or_else(|| fields.get(&camel_case(name)))
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let capital = letters.next().into_iter().flat_map(char::to_uppercase);
        name + &capital.chain(letters).collect::<String>()
    })
}

fn definition() -> ToolDefinition {
    let description = "Look up the AWS credentials that a stack job names and set them in the session's context. The \
                       keys never pass through this conversation.";
    let job = json!({
        "type": "object",
        "properties": {"spec": {
            "type": "object",
            "properties": {
                "provider_credential_id": {"type": "string"},
                "essentials": {"description": "The id may also be at provider_credential_info.id"},
                "target": {"type": ["object", "null"], "description": "The region is at spec.aws_account_region"},
            },
        }},
        "required": ["spec"],
    });
    let field = json!({"description": "The stack job, as an object or as JSON text", "anyOf": [{"type": "string"}, job]});
    let properties = json!({STACK_JOB_ARG: field});
    let schema = sessions::input_schema(properties, &[STACK_JOB_ARG]);
    let mut output = status_schema();
    output["properties"]["provider_credential_id"] = json!({"type": "string"});
    ToolDefinition::new("extract_and_set_credentials_from_stack_job", description, schema)
        .title("Set AWS credentials from a stack job")
        .output_schema(output)
        .annotations(ToolAnnotations::default().idempotent().closed_world())
}
