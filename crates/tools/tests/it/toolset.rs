//! The set itself: order, names, custom tools.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use valetkey_core::{Alias, Error, ErrorKind, Region, SessionContext};
use valetkey_tools::{Tool, ToolDefinition, ToolOutput, ToolSet};

use crate::desk::*;

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
async fn a_custom_tool_comes_last_and_is_called_by_name() {
    let tools = new_tool_set().with(Arc::new(EchoTool::named("echo"))).unwrap();
    assert_eq!(tools.definitions().last().unwrap().name, "echo");
    assert_eq!(tools.call("echo", json!({"a": 1})).await, Some(ToolOutput::json(json!({"a": 1}))));
}

#[test]
fn a_name_that_is_taken_is_refused() {
    for name in [SET, "echo"] {
        let error = new_tool_set().with(EchoTool::named("echo")).unwrap().with(EchoTool::named(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.field(), Some("name"));
        assert!(error.message().contains(name));
    }
}

#[tokio::test]
async fn an_unknown_tool_is_none() {
    assert_eq!(new_tool_set().call("no_such_tool", json!({})).await, None);
}

#[tokio::test]
async fn set_without_region_shows_the_resolved_one_and_stores_none() {
    let region = |text| Region::parse("region", text).unwrap();
    let builders = [
        (SessionContext::builder().region(region("eu-central-1")), "eu-central-1"),
        (SessionContext::builder().environment_region(region("eu-west-1")), "eu-west-1"),
        (SessionContext::builder().region_for(Alias::default_account(), region("eu-west-2")), "eu-west-2"),
        (SessionContext::builder(), "us-east-1"),
    ];
    for (builder, expected) in builders {
        let session = builder.build();
        let tools = ToolSet::for_session(session.clone());
        let given = json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s"});
        let output = tools.call(SET, json!({"credentials_json": given})).await.unwrap();
        assert_eq!(
            output.text,
            format!("Successfully set AWS credentials in context for region: {expected}")
        );
        assert_eq!(output.structured.unwrap()["region"], expected);
        assert_eq!(session.credentials().await.unwrap().region(), None);
        assert_eq!(session.resolved_region(session.default_account()).as_str(), expected);
    }
}

#[test]
fn an_error_is_told_in_words_and_as_json() {
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
fn the_set_keeps_its_session_open_and_no_longer() {
    let session = SessionContext::builder().build();
    let account = session.account(session.default_account()).unwrap();
    let tools = ToolSet::for_session(session);
    assert!(account.status().is_ok());
    drop(tools);
    assert_eq!(account.status().unwrap_err().kind(), ErrorKind::Closed);
}
