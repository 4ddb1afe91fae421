//! Tools of ADK-Rust.

use std::sync::{Arc, Mutex};

use adk_core::{
    Artifacts, CallbackContext, Content, EventActions, MemoryEntry, ReadonlyContext, Result, Tool,
    ToolContext,
};
use async_trait::async_trait;
use serde_json::json;
use valetkey_frameworks::{adk, tool_definitions};

use super::{GET, SECRET, SET, keys, two_tool_sets};

/// The context of a call for one user.
struct ContextFixture {
    user: &'static str,
    content: Content,
    actions: Mutex<EventActions>,
}

fn context(user: &'static str) -> Arc<dyn ToolContext> {
    Arc::new(ContextFixture { user, content: Content::new("user"), actions: Mutex::default() })
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

    async fn search_memory(&self, _query: &str) -> Result<Vec<MemoryEntry>> {
        Ok(Vec::new())
    }
}

/// The tools of an agent that serves alice and bob.
fn tools() -> Vec<Arc<dyn Tool>> {
    let [alice, bob] = two_tool_sets();
    adk::tools(&tool_definitions(), move |context| match context.user_id() {
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
