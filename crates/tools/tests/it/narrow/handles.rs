//! The access that a handle gives, and its lifetime.

use std::time::Duration;

use serde_json::{Map, Value, json};
use valetkey_core::SessionContext;
use valetkey_tools::{CREDENTIAL_SESSION, Tool, ToolDefinition, ToolOutput, ToolSet};

use super::{NarrowFixture, read_only_policy_json};
use crate::fixture::*;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn handle_call_uses_narrowed_session_others_parent() {
    let fixture = NarrowFixture::new();
    let handle =
        fixture.narrow_to_handle(json!({"policy": read_only_policy_json(), "accounts": ["prod"]})).await;
    assert_eq!(fixture.key_suffix(&handle).await, "LESS");
    let all = fixture.call(REFRESH_CREDENTIALS, json!({})).await.structured.unwrap();
    assert_eq!(all["key_suffix"], "ALL0");
    let listed = fixture.call(LIST_ACCOUNTS, json!({"credential_session": handle})).await.structured.unwrap();
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(listed["accounts"][0]["account"], "prod");
    let output =
        fixture.call(GET_CREDENTIALS, json!({"credential_session": handle})).await.structured.unwrap();
    assert_eq!((&output["account"], &output["key_suffix"]), (&json!("prod"), &json!("LESS")));
    let other =
        fixture.call(GET_CREDENTIALS, json!({"credential_session": handle, "account": "default"})).await;
    assert_eq!(error_json(&other)["code"], "not_configured", "other accounts do not exist");
}

#[tokio::test]
async fn handle_session_denies_set_and_keeps_own_service_context() {
    let fixture = NarrowFixture::new();
    let handle = fixture.narrow_to_handle(json!({"policy": read_only_policy_json()})).await;
    let job = json!({"spec": {"provider_credential_id": CREDENTIAL_ID}});
    for (tool, mut input) in [
        (SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2")})),
        (SET_FROM_STACK_JOB, json!({"stack_job_json": job})),
    ] {
        input["credential_session"] = json!(handle);
        assert_eq!(error_json(&fixture.call(tool, input).await)["code"], "denied", "{tool}");
    }
    let facts = json!({"service_id": "svc", "credential_session": handle});
    assert!(!fixture.call(SET_SERVICE, facts).await.is_error);
    assert!(fixture.call(GET_SERVICE, json!({})).await.is_error, "the sub-agent's facts are its own");
    let facts = fixture.call(GET_SERVICE, json!({"credential_session": handle})).await.structured.unwrap();
    assert_eq!(facts, json!({"service_id": "svc"}), "the handle is no fact");
}

#[tokio::test]
async fn handle_ends_at_expiry_close_clear_or_parent_close() {
    let fixture = NarrowFixture::new();
    let brief = fixture.narrow_to_handle(json!({"lifetime": 60})).await;
    let usual = fixture.narrow_to_handle(json!({})).await;
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(
        (fixture.error_code(&brief).await, fixture.key_suffix(&usual).await),
        (json!("closed"), json!("ALL0"))
    );

    assert!(!fixture.call(CLOSE_SESSION, json!({"credential_session": usual})).await.is_error);
    assert_eq!(fixture.error_code(&usual).await, "closed");
    assert_eq!(
        error_json(&fixture.call(CLOSE_SESSION, json!({"credential_session": usual})).await)["code"],
        "closed"
    );

    let cleared = fixture.narrow_to_handle(json!({})).await;
    assert!(!fixture.call(CLEAR_CREDENTIALS, json!({"credential_session": cleared})).await.is_error);
    assert_eq!(fixture.error_code(&cleared).await, "closed");
    assert!(fixture.session.credentials().await.is_ok(), "only the sub-agent's is cleared");
    assert!(fixture.call(CLEAR_CREDENTIALS, json!({"credential_session": cleared})).await.is_error);
    assert!(fixture.session.credentials().await.is_ok(), "and never another's in its place");

    let whole = fixture.narrow_to_handle(json!({})).await;
    fixture.call(CLEAR_CREDENTIALS, json!({})).await;
    assert_eq!(fixture.error_code(&whole).await, "closed");
    fixture.session.close();
    assert_eq!(fixture.error_code(&whole).await, "closed");
}

#[tokio::test]
async fn handle_nested_narrowing_cannot_widen_and_ends_with_outer() {
    let fixture = NarrowFixture::new();
    let outer = fixture
        .narrow(json!({"policy": read_only_policy_json(), "accounts": ["prod"], "lifetime": 100}))
        .await;
    let outer = (outer["credential_session"].as_str().unwrap(), &outer["ends_at"]);
    let inner = json!({"credential_session": outer.0, "lifetime": 1000});
    let inner = fixture.narrow(inner).await;
    assert_eq!((&inner["accounts"], &inner["ends_at"]), (&json!(["prod"]), outer.1), "it cannot widen");
    let wider = fixture
        .call(NARROW_CREDENTIALS, json!({"credential_session": outer.0, "accounts": ["default"]}))
        .await;
    assert_eq!(error_json(&wider)["code"], "not_configured");
    fixture.call(CLOSE_SESSION, json!({"credential_session": outer.0})).await;
    assert_eq!(fixture.error_code(inner["credential_session"].as_str().unwrap()).await, "closed");
}

#[tokio::test]
async fn handle_is_unique_and_unknown_to_other_tool_sets() {
    let (fixture, other) = (NarrowFixture::new(), NarrowFixture::new());
    let handles = [fixture.narrow_to_handle(json!({})).await, fixture.narrow_to_handle(json!({})).await];
    assert!(handles[0] != handles[1] && handles[0].len() == 32);
    let nobodys = "0".repeat(32);
    for wrong in [nobodys.clone(), handles[0].to_uppercase(), "short".to_owned()] {
        let output = fixture.call(GET_CREDENTIALS, json!({"credential_session": wrong})).await;
        let code = if wrong == nobodys { "closed" } else { "invalid" };
        assert_eq!(error_json(&output)["code"], code, "{wrong}");
        assert!(!output.text.contains(&wrong) || wrong == "short", "{}", output.text);
    }
    assert_eq!(other.error_code(&handles[0]).await, "closed", "another session's tools do not know it");
    let not_text = fixture.call(GET_CREDENTIALS, json!({"credential_session": 7})).await;
    assert_eq!(error_json(&not_text)["field"], "credential_session");
}

#[tokio::test]
async fn narrow_beyond_32_sessions_is_throttled() {
    let fixture = NarrowFixture::new();
    let mut handles = Vec::new();
    for _ in 0..32 {
        handles.push(fixture.narrow_to_handle(json!({"lifetime": 60})).await);
    }
    let refused = fixture.call(NARROW_CREDENTIALS, json!({})).await;
    assert_eq!(error_json(&refused)["code"], "throttled");
    assert!(refused.text.contains("close_credential_session"), "{}", refused.text);
    fixture.call(CLOSE_SESSION, json!({"credential_session": handles[7]})).await;
    fixture.narrow_to_handle(json!({})).await;
    assert!(fixture.call(NARROW_CREDENTIALS, json!({})).await.is_error);
    fixture.clock.advance(HOUR);
    fixture.narrow_to_handle(json!({})).await;
}

struct EchoTool(ToolDefinition);

#[async_trait::async_trait]
impl Tool for EchoTool {
    fn definition(&self) -> &ToolDefinition {
        &self.0
    }

    async fn call(&self, input: Value) -> ToolOutput {
        ToolOutput::json(input)
    }
}

#[tokio::test]
async fn custom_tool_without_session_argument_refuses_handle() {
    let echo = |name: &'static str, schema| EchoTool(ToolDefinition::new(name, "Says it again.", schema));
    let knows = json!({"type": "object", "properties": {"credential_session": {"type": "string"}}});
    let tools = NarrowFixture::new().tools.with(echo("echo", json!({"type": "object"}))).unwrap();
    let tools = tools.with(echo("knowing", knows)).unwrap();
    let input = json!({"credential_session": "0".repeat(32)});
    let refused = tools.call("echo", input.clone()).await.unwrap();
    assert_eq!(error_json(&refused)["field"], "credential_session");
    assert!(tools.call("echo", json!({"credential_session": null})).await.unwrap().is_error);
    assert!(!tools.call("echo", json!({})).await.unwrap().is_error);
    assert_eq!(tools.call("knowing", input).await.unwrap().structured.unwrap().as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn extract_session_removes_only_its_argument() {
    let fixture = NarrowFixture::new();
    let handle = fixture.narrow_to_handle(json!({"accounts": ["prod"]})).await;
    let mut arguments =
        Map::from_iter([("a".to_owned(), json!(1)), (CREDENTIAL_SESSION.to_owned(), json!(handle))]);
    let session = fixture.tools.extract_session(&mut arguments).unwrap().unwrap();
    assert_eq!(session.accounts(), [super::alias("prod")]);
    assert_eq!(Value::Object(arguments.clone()), json!({"a": 1}));
    assert!(fixture.tools.extract_session(&mut arguments).unwrap().is_none());
    arguments.insert(CREDENTIAL_SESSION.to_owned(), json!("nothing"));
    assert!(fixture.tools.extract_session(&mut arguments).is_err());

    let bare = ToolSet::default();
    assert!(bare.session_argument_schema().is_none() && fixture.tools.session_argument_schema().is_some());
    arguments.insert(CREDENTIAL_SESSION.to_owned(), json!("nothing"));
    assert!(bare.extract_session(&mut arguments).unwrap().is_none());
    assert_eq!(arguments.len(), 2, "a tool set without a session takes nothing");
}

#[tokio::test]
async fn tool_set_drop_closes_narrowed_sessions() {
    let fixture = NarrowFixture::new();
    let handle = fixture.narrow_to_handle(json!({})).await;
    let mut arguments = Map::from_iter([(CREDENTIAL_SESSION.to_owned(), json!(handle))]);
    let session: SessionContext = fixture.tools.extract_session(&mut arguments).unwrap().unwrap();
    let account = session.account(session.default_account()).unwrap();
    drop((session, fixture.tools));
    assert!(account.is_closed() && !fixture.session.is_closed());
}
