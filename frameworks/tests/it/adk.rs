//! Tools of ADK-Rust.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use adk_core::{
    Artifacts, CallbackContext, Content, EventActions, MemoryEntry, ReadonlyContext, Result, Tool,
    ToolContext,
};
use async_trait::async_trait;
use serde_json::json;
use valetkey::audit::{AuditEvent, InMemoryAudit};
use valetkey::tools::ToolSet;
use valetkey::{CredentialProvider, Credentials, Expiry, SessionContext, SessionPolicy};
use valetkey_frameworks::{Narrowing, adk, tool_definitions};

use super::{GET, SECRET, SET, keys, two_tool_sets};

/// The context of a call for one user.
struct ContextFixture {
    user: &'static str,
    depth: u32,
    scopes: Vec<String>,
    content: Content,
    actions: Mutex<EventActions>,
}

fn context(user: &'static str) -> Arc<dyn ToolContext> {
    delegated(user, 0, &[])
}

/// The context of an agent that other agents called.
fn delegated(user: &'static str, depth: u32, scopes: &[&str]) -> Arc<dyn ToolContext> {
    let scopes = scopes.iter().map(ToString::to_string).collect();
    let (content, actions) = (Content::new("user"), Mutex::default());
    Arc::new(ContextFixture { user, depth, scopes, content, actions })
}

impl ReadonlyContext for ContextFixture {
    fn invocation_id(&self) -> &str {
        "invocation"
    }

    fn agent_name(&self) -> &str {
        "agent"
    }

    fn user_id(&self) -> &str {
        self.user
    }

    fn app_name(&self) -> &str {
        "app"
    }

    fn session_id(&self) -> &str {
        "session"
    }

    fn branch(&self) -> &str {
        ""
    }

    fn user_content(&self) -> &Content {
        &self.content
    }
}

impl CallbackContext for ContextFixture {
    fn artifacts(&self) -> Option<Arc<dyn Artifacts>> {
        None
    }
}

#[async_trait]
impl ToolContext for ContextFixture {
    fn function_call_id(&self) -> &str {
        "call"
    }

    fn actions(&self) -> EventActions {
        self.actions.lock().unwrap().clone()
    }

    fn set_actions(&self, actions: EventActions) {
        *self.actions.lock().unwrap() = actions;
    }

    fn delegation_depth(&self) -> u32 {
        self.depth
    }

    fn user_scopes(&self) -> Vec<String> {
        self.scopes.clone()
    }

    async fn search_memory(&self, _query: &str) -> Result<Vec<MemoryEntry>> {
        Ok(Vec::new())
    }
}

/// The tools of an agent that serves alice and bob.
fn tools() -> Vec<Arc<dyn Tool>> {
    let [alice, bob] = two_tool_sets();
    adk::tools(&tool_definitions(), Narrowing::new(), move |context| match context.user_id() {
        "alice" => Some(alice.clone()),
        "bob" => Some(bob.clone()),
        _ => None,
    })
}

fn find(tools: &[Arc<dyn Tool>], name: &str) -> Arc<dyn Tool> {
    Arc::clone(tools.iter().find(|tool| tool.name() == name).unwrap())
}

#[tokio::test]
async fn adk_tool_acts_in_session_of_each_call() {
    let tools = tools();
    assert_eq!(tools.len(), tool_definitions().len());
    let (set, get) = (find(&tools, SET), find(&tools, GET));
    assert_eq!(set.declaration()["parameters"]["type"], "object");
    assert!(get.is_read_only() && !set.is_read_only());
    set.execute(context("alice"), keys("AAAA")).await.unwrap();
    assert!(get.execute(context("bob"), json!({})).await.is_err(), "the other session has no credentials");
    set.execute(context("bob"), keys("BBBB")).await.unwrap();
    for (user, suffix) in [("alice", "AAAA"), ("bob", "BBBB")] {
        let output = get.execute(context(user), json!({})).await.unwrap();
        assert_eq!(output["key_suffix"], suffix);
        assert!(!output.to_string().contains(SECRET));
    }
}

#[tokio::test]
async fn adk_tool_without_session_or_valid_input_fails() {
    let tools = tools();
    let refused = find(&tools, GET).execute(context("carol"), json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("belongs to no credential session"), "{refused}");
    let invalid = find(&tools, SET).execute(context("alice"), json!({"credentials_json": "{}"})).await;
    assert!(invalid.unwrap_err().to_string().contains("Missing required field"));
}

/// Issues keys that end with the number of policies that narrow them.
#[derive(Debug)]
struct RoleFixture(u32);

#[async_trait]
impl CredentialProvider for RoleFixture {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("role")
    }

    async fn provide(&self) -> valetkey::Result<Credentials> {
        let id = format!("ASIA{:016}", self.0).parse()?;
        let expiry = Expiry::At(SystemTime::now() + Duration::from_secs(3_600));
        Credentials::builder(id, SECRET.into()).session_token(Some("token".into())).expiry(expiry).build()
    }

    fn scope_down(&self, _: &SessionPolicy) -> valetkey::Result<Arc<dyn CredentialProvider>> {
        Ok(Arc::new(Self(self.0 + 1)))
    }
}

#[tokio::test]
async fn adk_delegated_agent_has_narrowed_session() {
    let audit = Arc::new(InMemoryAudit::default());
    let session = SessionContext::builder().provider(RoleFixture(0)).audit(audit.clone()).build();
    let (policy, tools) =
        (|service| SessionPolicy::read_only([service]).unwrap(), ToolSet::for_session(session.clone()));
    let narrowing = Narrowing::new()
        .delegated(1, policy("s3"))
        .delegated(2, policy("logs"))
        .without_scope("aws:data", policy("ecs"));
    let tools = adk::tools(&tool_definitions(), narrowing, move |_| Some(tools.clone()));
    let get = find(&tools, GET);
    let policies = async |depth, scopes: &[&str]| {
        let output = get.execute(delegated("alice", depth, scopes), json!({})).await.unwrap();
        output["key_suffix"].as_str().unwrap().parse::<u32>().unwrap()
    };
    for _ in 0..2 {
        assert_eq!(policies(0, &["aws:data"]).await, 0);
        assert_eq!(policies(1, &["aws:data"]).await, 1);
        assert_eq!(policies(3, &["aws:data", "other"]).await, 2);
        assert_eq!(policies(0, &["other"]).await, 1);
        assert_eq!(policies(2, &[]).await, 3);
    }
    let narrowed = audit.records().iter().filter(|record| record.event == AuditEvent::Narrow).count();
    assert_eq!(narrowed, 7, "the second round narrows nothing");

    session.close();
    assert!(get.execute(delegated("alice", 1, &[]), json!({})).await.is_err());
}

#[tokio::test]
async fn adk_session_that_cannot_be_narrowed_is_refused() {
    let [tools, _] = two_tool_sets();
    let narrowing = Narrowing::new().delegated(1, SessionPolicy::read_only(["s3"]).unwrap());
    let tools = adk::tools(&tool_definitions(), narrowing, move |_| Some(tools.clone()));
    find(&tools, SET).execute(context("alice"), keys("AAAA")).await.unwrap();
    let refused = find(&tools, GET).execute(delegated("alice", 1, &[]), json!({})).await;
    assert!(refused.unwrap_err().to_string().contains("policy"));
}

#[tokio::test]
async fn adk_narrowing_with_another_rule_has_its_own_sessions() {
    let audit = Arc::new(InMemoryAudit::default());
    let session = SessionContext::builder().provider(RoleFixture(0)).audit(audit.clone()).build();
    let (base, tools) = (Narrowing::new(), ToolSet::for_session(session.clone()));
    let policies = ["s3", "logs"].map(|service| SessionPolicy::read_only([service]).unwrap());
    for policy in &policies {
        let (narrowing, tools) = (base.clone().delegated(1, policy.clone()), tools.clone());
        let tools = adk::tools(&tool_definitions(), narrowing, move |_| Some(tools.clone()));
        find(&tools, GET).execute(delegated("alice", 1, &[]), json!({})).await.unwrap();
    }
    let records = audit.records();
    let narrowings = records.iter().filter_map(|record| record.narrow.as_ref());
    let digests: Vec<_> = narrowings.map(|narrow| narrow.policy.clone()).collect();
    assert_eq!(digests, policies.map(|policy| Some(policy.digest())));
}
