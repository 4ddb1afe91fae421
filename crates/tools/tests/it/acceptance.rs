//! The acceptance flow of the original Python design: tool names, inputs and the checks that callers apply to texts.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use valetkey_core::testing::Canary;
use valetkey_core::{AccountName, Expiry, MapResolver, SessionContext};
use valetkey_tools::ToolSet;

use crate::fixture::{
    CLEAR_CREDENTIALS, GET_CREDENTIALS, GET_SERVICE, SET_CREDENTIALS, SET_FROM_STACK_JOB, SET_SERVICE,
};

const CREDENTIALS: &str =
    r#"{"access_key_id": "AKIA_TEST", "secret_access_key": "secret_test", "region": "us-west-2"}"#;

async fn text(tools: &ToolSet, name: &str, input: Value) -> String {
    tools.call(name, input).await.unwrap().text
}

fn tools() -> ToolSet {
    ToolSet::for_session(SessionContext::builder().build())
}

#[tokio::test]
async fn set_credentials_returns_original_text() {
    let tools = tools();
    assert_eq!(
        text(&tools, SET_CREDENTIALS, json!({"credentials_json": CREDENTIALS})).await,
        "Successfully set AWS credentials in context for region: us-west-2"
    );
    for id in ["test", "testing", "minioadmin"] {
        let keys = json!({"access_key_id": id, "secret_access_key": "s", "region": "us-west-2"}).to_string();
        assert!(
            text(&tools, SET_CREDENTIALS, json!({"credentials_json": keys}))
                .await
                .starts_with("Successfully"),
            "{id}"
        );
    }
}

#[tokio::test]
async fn get_tools_mention_error_in_failures_only() {
    let tools = tools();
    for get in [GET_CREDENTIALS, GET_SERVICE] {
        let failure = text(&tools, get, json!({})).await;
        let parsed: Value = serde_json::from_str(&failure).unwrap();
        assert!(failure.contains("error") && parsed["error"].is_object(), "{failure}");
    }
    text(&tools, SET_CREDENTIALS, json!({"credentials_json": CREDENTIALS})).await;
    text(&tools, SET_SERVICE, json!({"service_id": "svc-1"})).await;
    for get in [GET_CREDENTIALS, GET_SERVICE] {
        let success = text(&tools, get, json!({})).await;
        assert!(!success.contains("error"), "{success}");
        serde_json::from_str::<Value>(&success).unwrap();
    }
}

#[tokio::test]
async fn stack_job_texts_start_as_in_original() {
    let canary = Canary::new();
    let kept = canary.credentials(Expiry::Never).unwrap();
    let resolver = MapResolver::new().with("cred-1".parse().unwrap(), kept);
    let tools = ToolSet::for_session(SessionContext::builder().resolver(resolver).build());
    let job = r#"{"spec": {"provider_credential_id": "cred-1"}}"#;
    let done = text(&tools, SET_FROM_STACK_JOB, json!({"stack_job_json": job})).await;
    assert!(done.starts_with("Successfully extracted and set AWS credentials"), "{done}");
    for unusable in ["{}", "[]", r#"{"spec": {"provider_credential_id": "unknown"}}"#, "{"] {
        let failed = text(&tools, SET_FROM_STACK_JOB, json!({"stack_job_json": unusable})).await;
        assert!(failed.starts_with("Error"), "{failed}");
    }
}

#[tokio::test]
async fn service_context_returns_unchanged_in_its_key_order() {
    let tools = tools();
    let info = r#"{"service_id":"svc-1","zone":"b","cluster":"a","nested":{"z":1,"a":[2,null]}}"#;
    let set = text(&tools, SET_SERVICE, json!({"service_info_json": info})).await;
    assert_eq!(set, "Successfully set service context for: svc-1");
    assert_eq!(text(&tools, GET_SERVICE, json!({})).await, info);
    let set = text(&tools, SET_SERVICE, json!({"service_info_json": r#"{"name": "web"}"#})).await;
    assert_eq!(set, "Successfully set service context for: unknown");
}

#[tokio::test]
async fn set_credentials_incomplete_input_returns_original_errors() {
    let tools = tools();
    for (input, expected) in [
        (r#"{"secret_access_key": "s"}"#, "Error: Missing required field 'access_key_id'"),
        (r#"{"access_key_id": "AKIA_TEST"}"#, "Error: Missing required field 'secret_access_key'"),
    ] {
        assert_eq!(text(&tools, SET_CREDENTIALS, json!({"credentials_json": input})).await, expected);
    }
    let invalid = text(&tools, SET_CREDENTIALS, json!({"credentials_json": "not json"})).await;
    assert!(invalid.starts_with("Error: Invalid JSON"), "{invalid}");
}

#[tokio::test]
async fn clear_leaves_errors_in_both_get_tools() {
    let tools = tools();
    text(&tools, SET_CREDENTIALS, json!({"credentials_json": CREDENTIALS})).await;
    text(&tools, SET_SERVICE, json!({"service_id": "svc-1"})).await;
    let cleared = text(&tools, CLEAR_CREDENTIALS, json!({})).await;
    assert_eq!(cleared, "Successfully cleared all credentials and context from memory");
    for get in [GET_CREDENTIALS, GET_SERVICE] {
        assert!(text(&tools, get, json!({})).await.contains("error"));
    }
}

#[tokio::test]
async fn temporary_switch_is_not_visible_to_parent() {
    let session = SessionContext::builder().build();
    let outer = ToolSet::for_session(session.clone());
    text(&outer, SET_CREDENTIALS, json!({"credentials_json": CREDENTIALS})).await;
    text(&outer, SET_SERVICE, json!({"service_id": "svc-1"})).await;
    let before = session.credentials().await.unwrap().access_key_id().clone();
    let switched = session.with_credentials(Canary::new().credentials(Expiry::Never).unwrap()).unwrap();
    let inner = ToolSet::for_session(switched.clone());
    assert_ne!(switched.credentials().await.unwrap().access_key_id(), &before);
    assert_eq!(text(&inner, GET_SERVICE, json!({})).await, text(&outer, GET_SERVICE, json!({})).await);
    assert_eq!(session.credentials().await.unwrap().access_key_id(), &before, "in concurrent tasks");
    drop((inner, switched));
    assert_eq!(session.credentials().await.unwrap().access_key_id(), &before, "afterwards");
    assert!(text(&outer, GET_SERVICE, json!({})).await.contains("svc-1"));
}

#[tokio::test]
async fn failed_invocation_clears_its_session() {
    let session = SessionContext::builder();
    let mut kept = None;
    let outcome: Result<(), &str> = SessionContext::scope(session, async |session: SessionContext| {
        let tools = ToolSet::for_session(session.clone());
        text(&tools, SET_CREDENTIALS, json!({"credentials_json": CREDENTIALS})).await;
        kept = Some(session);
        Err("the agent failed")
    })
    .await;
    assert!(outcome.is_err());
    assert!(kept.unwrap().account(&AccountName::default_account()).is_err());
}

/// A step of an invocation.
#[derive(Debug, Clone, Copy)]
enum Step {
    SetCredentials,
    SetService,
    Check,
    Clear,
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let steps = [Step::SetCredentials, Step::SetService, Step::Check, Step::Clear];
    (any::<bool>(), proptest::sample::select(steps.to_vec()))
}

/// An invocation, and the values that its session must show.
struct InvocationFixture {
    name: &'static str,
    tools: Arc<ToolSet>,
    has_credentials: bool,
    has_service: bool,
}

impl InvocationFixture {
    fn new(name: &'static str) -> Self {
        Self { name, tools: Arc::new(tools()), has_credentials: false, has_service: false }
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::SetCredentials => {
                let keys =
                    json!({"access_key_id": self.name, "secret_access_key": "s", "region": "us-west-2"});
                text(&self.tools, SET_CREDENTIALS, json!({"credentials_json": keys})).await;
                self.has_credentials = true;
            }
            Step::SetService => {
                text(&self.tools, SET_SERVICE, json!({"service_id": self.name})).await;
                self.has_service = true;
            }
            Step::Clear => {
                text(&self.tools, CLEAR_CREDENTIALS, json!({})).await;
                (self.has_credentials, self.has_service) = (false, false);
            }
            Step::Check => self.check().await,
        }
    }

    async fn check(&self) {
        let (keys, service) = (
            text(&self.tools, GET_CREDENTIALS, json!({})).await,
            text(&self.tools, GET_SERVICE, json!({})).await,
        );
        let last_four = &self.name[self.name.len() - 4..];
        assert_eq!(!keys.contains("error"), self.has_credentials, "{keys}");
        assert_eq!(!service.contains("error"), self.has_service, "{service}");
        assert_eq!(keys.contains(last_four), self.has_credentials, "{keys}");
        assert_eq!(service.contains(self.name), self.has_service, "{service}");
    }
}

proptest! {
    #[test]
    fn interleaved_invocations_are_isolated(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut invocations = [InvocationFixture::new("INVOCATION-AAAA"), InvocationFixture::new("INVOCATION-BBBB")];
            for (second, step) in steps {
                invocations[usize::from(second)].run(step).await;
                invocations[usize::from(!second)].check().await;
            }
        });
    }
}
