//! `get_aws_credentials_context`: shows an account of the session, with secrets only if the host opted in.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `account` | string | the alias of the account (default: the session's default account) |
//! | `credential_session` | string | the handle of a narrowed session |
//!
//! # Result
//! With [`SecretExposure::StatusOnly`], the [status](super::account_status) of the account. With
//! [`SecretExposure::Reveal`], an object with `access_key_id`, `secret_access_key`, `region` and `session_token`.
//!
//! # Errors
//! The text of an error is JSON as well, because existing callers look for `error` in it.
//! - `NotConfigured`: the account has neither credentials nor a provider that returns any.
//! - The kind of the provider's error if the first credentials cannot be fetched.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::audit::AuditEvent;
use valetkey_core::{AccountName, Error, ErrorKind, Result, SessionContext};

use super::{account_schema, account_status, status_schema};
use crate::arguments::ToolArguments;
use crate::sessions::{self, SessionStore};
use crate::{Tool, ToolAnnotations, ToolDefinition, ToolOutput};

const NAME: &str = "get_aws_credentials_context";
/// Shared by the tools of all sessions: they are larger than a session.
static STATUS_DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(|| definition(SecretExposure::StatusOnly));
static REVEAL_DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(|| definition(SecretExposure::Reveal));

/// Whether `get_aws_credentials_context` shows secrets.
///
/// # Examples
/// ```
/// use valetkey_core::SessionContext;
/// use valetkey_tools::{SecretExposure, ToolSet};
///
/// // A host whose own code, and no model, reads the results.
/// let session = SessionContext::builder().build();
/// let tools = ToolSet::builder(session).secret_exposure(SecretExposure::Reveal).build();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SecretExposure {
    /// Shows the status of the credentials, which contains no secret.
    #[default]
    StatusOnly,
    /// Shows the keys themselves, for hosts in which the result is read by the host's own code and never by a model.
    /// Each disclosure is audited.
    Reveal,
}

/// Shows one account of a session.
pub(crate) struct GetCredentials {
    sessions: SessionStore,
    exposure: SecretExposure,
}

impl GetCredentials {
    pub(crate) fn new(sessions: SessionStore, exposure: SecretExposure) -> Self {
        Self { sessions, exposure }
    }

    async fn get(&self, input: Value) -> Result<ToolOutput> {
        let mut arguments = ToolArguments::parse(self.definition(), input)?;
        let session = self.sessions.session_for_call(&mut arguments)?;
        let account = arguments.account()?.unwrap_or_else(|| session.default_account().clone());
        let shown = match self.exposure {
            SecretExposure::StatusOnly => without_secrets(&session, &account).await?,
            SecretExposure::Reveal => with_secrets(&session, &account).await?,
        };
        Ok(ToolOutput::json(shown))
    }
}

/// Returns the status of an account that has credentials. Credentials that the provider has not fetched yet are
/// fetched, because callers use this tool to find out whether there are any.
async fn without_secrets(session: &SessionContext, account: &AccountName) -> Result<Value> {
    let known = account_status(session, account)?;
    if known["provider"].is_null() {
        return Err(no_credentials());
    }
    if !known["key_suffix"].is_null() {
        return Ok(known);
    }
    match session.for_account(account).credentials().await {
        Ok(_) => account_status(session, account),
        Err(error) if error.kind() == ErrorKind::NotConfigured => Err(no_credentials().with_source(error)),
        Err(error) => Err(error),
    }
}

/// Reports an account that has neither credentials nor a provider that can fetch them: the caller has to act first.
fn no_credentials() -> Error {
    Error::not_configured("no AWS credentials found in context").with_next_step(
        "call `set_aws_credentials_context` or `extract_and_set_credentials_from_stack_job` first",
    )
}

async fn with_secrets(session: &SessionContext, account: &AccountName) -> Result<Value> {
    let credentials = session.for_account(account).credentials().await?;
    session.audit(AuditEvent::Serve, account, NAME, None);
    let region =
        credentials.region().cloned().unwrap_or_else(|| session.for_account(account).resolved_region());
    Ok(json!({
        "access_key_id": credentials.access_key_id().as_str(),
        "secret_access_key": credentials.expose_secret_access_key(),
        "region": region,
        "session_token": credentials.expose_session_token(),
    }))
}

#[async_trait]
impl Tool for GetCredentials {
    fn definition(&self) -> &ToolDefinition {
        match self.exposure {
            SecretExposure::StatusOnly => &STATUS_DEFINITION,
            SecretExposure::Reveal => &REVEAL_DEFINITION,
        }
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.get(input).await.unwrap_or_else(|error| ToolOutput::error_json(&error))
    }
}

fn definition(exposure: SecretExposure) -> ToolDefinition {
    let (description, output) = match exposure {
        SecretExposure::StatusOnly => (
            "Show which AWS credentials the session's context holds: account, region, last four characters of the key \
             id, expiry. The keys themselves are not shown; tools of this session use them on their own.",
            status_schema(),
        ),
        SecretExposure::Reveal => {
            ("Get the AWS credentials of the session's context, secrets included.", credentials_schema())
        }
    };
    let properties = json!({"account": account_schema()});
    let schema = sessions::input_schema(properties, &[]);
    ToolDefinition::new(NAME, description, schema)
        .title("Get AWS credentials")
        .output_schema(output)
        .annotations(ToolAnnotations::default().read_only().closed_world())
}

fn credentials_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "access_key_id": {"type": "string"},
            "secret_access_key": {"type": "string"},
            "region": {"type": ["string", "null"]},
            "session_token": {"type": ["string", "null"]},
        },
        "required": ["access_key_id", "secret_access_key", "region", "session_token"],
    })
}
