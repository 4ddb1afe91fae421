//! `refresh_aws_credentials`: fetches new credentials from the account's own provider before they are due.
//!
//! # Arguments
//! | name | type | meaning |
//! |---|---|---|
//! | `account` | string | the alias of the account (default: the session's default account) |
//! | `credential_session` | string | the handle of a narrowed session |
//!
//! # Result
//! The [status](super::account_status) of the account with its new credentials. After a clear, the account uses its
//! provider again. If the provider needs a sign-in, the person is requested to make it, where a person can be reached, and
//! the credentials are fetched again.
//!
//! # Errors
//! - `NotConfigured`: the session has no such account, or the account has no provider.
//! - The kind of the provider's error if the fetch fails. `Denied` if the person has refused to sign in. The person is not
//!   disturbed again while another sign-in is requested, and after three refusals in succession.

use std::sync::LazyLock;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::Result;

use super::{account_schema, account_status, status_schema};
use crate::access::{NoApprover, RequestLimit, sign_in};
use crate::arguments::ToolArguments;
use crate::sessions::{self, SessionStore};
use crate::{Approver, Tool, ToolAnnotations, ToolDefinition, ToolOutput};

/// The name of the tool that fetches new credentials, which may need a person.
pub const REFRESH_CREDENTIALS_TOOL: &str = "refresh_aws_credentials";

/// Shared by the tools of all sessions: it is larger than a session.
static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);

/// Refreshes one account of a session.
pub(crate) struct RefreshCredentials {
    sessions: SessionStore,
    sign_ins: RequestLimit,
}

impl RefreshCredentials {
    pub(crate) fn new(sessions: SessionStore) -> Self {
        Self { sessions, sign_ins: RequestLimit::default() }
    }

    async fn refresh(&self, input: Value, approver: &dyn Approver) -> Result<ToolOutput> {
        let mut arguments = ToolArguments::parse(&DEFINITION, input)?;
        let session = self.sessions.session_for_call(&mut arguments)?;
        let account = arguments.account()?.unwrap_or_else(|| session.default_account().clone());
        if let Err(error) = session.for_account(&account).resume().await {
            sign_in(&session, &account, error, approver, &self.sign_ins).await?;
            session.for_account(&account).resume().await?;
        }
        let status = account_status(&session, &account)?;
        let expiry = status["expires_at"].as_str().unwrap_or("never");
        let text =
            format!("Successfully refreshed AWS credentials of account: {account}, expiring: {expiry}");
        Ok(ToolOutput::ok(text).with_structured(status))
    }
}

#[async_trait]
impl Tool for RefreshCredentials {
    fn definition(&self) -> &ToolDefinition {
        &DEFINITION
    }

    async fn call(&self, input: Value) -> ToolOutput {
        self.call_with(input, &NoApprover).await
    }

    async fn call_with(&self, input: Value, approver: &dyn Approver) -> ToolOutput {
        self.refresh(input, approver).await.into()
    }
}

fn definition() -> ToolDefinition {
    let description = "Get new AWS credentials for an account of this session now, from where it always gets them. \
                       They are renewed on their own; call this after AWS refused them as expired, or to use the \
                       configured accounts again after `clear_credential_context`. Credentials that a tool set \
                       can only be set again.";
    let properties = json!({"account": account_schema()});
    let schema = sessions::input_schema(properties, &[]);
    ToolDefinition::new(REFRESH_CREDENTIALS_TOOL, description, schema)
        .title("Refresh AWS credentials")
        .output_schema(status_schema())
        .annotations(ToolAnnotations::default().additive().closed_world())
}
