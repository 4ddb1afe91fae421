//! `ToolSet`: order, names, custom tools.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::{AccountName, Error, ErrorKind, Region, SessionContext};
use valetkey_tools::{Tool, ToolDefinition, ToolOutput, ToolSet};

use crate::fixture::*;

struct EchoTool(ToolDefinition);

impl EchoTool {
    fn named(name: &'static str) -> Self {
        Self(ToolDefinition::new(name, "Says it again.", json!({"type": "object"})))
    }
}

#[async_trait]
impl Tool for EchoTool {
    fn definition(&self) -> &ToolDefinition {
        &self.0
    }

    async fn call(&self, input: Value) -> ToolOutput {
        ToolOutput::json(input)
    }
}

fn new_tool_set() -> ToolSet {
    ToolSet::for_session(SessionContext::builder().build())
}

#[tokio::test]
async fn tool_set_custom_tool_is_last_and_callable() {
    let tools = new_tool_set().with(Arc::new(EchoTool::named("echo"))).unwrap();
    assert_eq!(tools.definitions().last().unwrap().name, "echo");
    assert_eq!(tools.call("echo", json!({"a": 1})).await, Some(ToolOutput::json(json!({"a": 1}))));
}

#[test]
fn tool_set_duplicate_name_is_invalid() {
    for name in [SET_CREDENTIALS, "echo"] {
        let error =
            new_tool_set().with(EchoTool::named("echo")).unwrap().with(EchoTool::named(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.field(), Some("name"));
        assert!(error.message().contains(name));
    }
}

#[tokio::test]
async fn tool_set_unknown_tool_is_none() {
    assert_eq!(new_tool_set().call("no_such_tool", json!({})).await, None);
}

#[tokio::test]
async fn set_credentials_without_region_reports_resolved_region() {
    let region = |text| Region::parse("region", text).unwrap();
    let builders = [
        (SessionContext::builder().region(region("eu-central-1")), "eu-central-1"),
        (SessionContext::builder().environment_region(region("eu-west-1")), "eu-west-1"),
        (
            SessionContext::builder().region_for(AccountName::default_account(), region("eu-west-2")),
            "eu-west-2",
        ),
        (SessionContext::builder(), "us-east-1"),
    ];
    for (builder, expected) in builders {
        let session = builder.build();
        let tools = ToolSet::for_session(session.clone());
        let given = json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s"});
        let output = tools.call(SET_CREDENTIALS, json!({"credentials_json": given})).await.unwrap();
        assert_eq!(
            output.text,
            format!("Successfully set AWS credentials in context for region: {expected}")
        );
        assert_eq!(output.structured.unwrap()["region"], expected);
        assert_eq!(session.credentials().await.unwrap().region(), None);
        assert_eq!(session.resolved_region().as_str(), expected);
    }
}

#[test]
fn tool_output_error_has_text_and_json() {
    let error = Error::new(ErrorKind::Throttled, "too many requests")
        .with_provider("assume-role")
        .with_next_step("wait a minute");
    let output = ToolOutput::error(&error);
    assert_eq!(output.text, "Error: Too many requests (assume-role); wait a minute");
    let expected = json!({"error": {
        "code": "throttled", "message": "Too many requests", "transient": true, "next_step": "wait a minute",
    }});
    assert_eq!(output.structured, Some(expected));
    assert!(output.is_error);
}

#[test]
fn tool_set_keeps_session_open_until_drop() {
    let session = SessionContext::builder().build();
    let account = session.account(session.default_account()).unwrap();
    let tools = ToolSet::for_session(session);
    assert!(account.status().is_ok());
    drop(tools);
    assert_eq!(account.status().unwrap_err().kind(), ErrorKind::Closed);
}
