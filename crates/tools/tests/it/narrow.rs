//! Handles for sub-agents: the permissions that they give, and how they end.

mod handles;
mod input;
mod role;

use std::sync::Arc;

use serde_json::{Value, json};
use valetkey_core::testing::ManualClock;
use valetkey_core::{AccountName, SessionContext, SessionPolicy};
use valetkey_tools::{ToolOutput, ToolSet};

use crate::fixture::*;
pub(crate) use role::FakeRoleProvider;

fn alias(name: &str) -> AccountName {
    name.parse().unwrap()
}

fn read_only_policy_json() -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}})
}

fn read_only_policy() -> SessionPolicy {
    read_only_policy_json().to_string().parse().unwrap()
}

/// The tools of a session that has a role in two accounts.
struct NarrowFixture {
    session: SessionContext,
    tools: ToolSet,
    clock: ManualClock,
}

impl NarrowFixture {
    fn new() -> Self {
        let clock = ManualClock::new();
        let builder =
            SessionContext::builder().clock(Arc::new(clock.clone())).provider(FakeRoleProvider::new("ALL0"));
        let session = builder.provider_for(alias("prod"), FakeRoleProvider::new("PROD")).build();
        let tools = ToolSet::builder(session.clone()).policy("reading", read_only_policy()).build();
        Self { session, tools, clock }
    }

    async fn call(&self, name: &str, input: Value) -> ToolOutput {
        self.tools.call(name, input).await.unwrap()
    }

    async fn narrow(&self, input: Value) -> Value {
        let output = self.call(NARROW_CREDENTIALS, input).await;
        assert!(!output.is_error, "{}", output.text);
        output.structured.unwrap()
    }

    async fn narrow_to_handle(&self, input: Value) -> String {
        self.narrow(input).await["credential_session"].as_str().unwrap().to_owned()
    }

    /// Returns the last four characters of the key that a call with `handle` gets.
    async fn key_suffix(&self, handle: &str) -> Value {
        let output = self.call(REFRESH_CREDENTIALS, json!({"credential_session": handle})).await;
        assert!(!output.is_error, "{}", output.text);
        output.structured.unwrap()["key_suffix"].take()
    }

    /// Returns the error code of a call with `handle`.
    async fn error_code(&self, handle: &str) -> Value {
        error_json(&self.call(GET_CREDENTIALS, json!({"credential_session": handle})).await)["code"].clone()
    }
}
