//! Tools of rig.

use rig_core::tool::{DynamicTool, ToolContext};
use serde_json::json;
use valetkey_frameworks::{rig, tool_definitions};

use super::{GET, SECRET, SET, keys, two_tool_sets};

fn find<'a>(tools: &'a [DynamicTool], name: &str) -> &'a DynamicTool {
    tools.iter().find(|tool| tool.name() == name).unwrap()
}

#[tokio::test]
async fn rig_tool_acts_in_session_of_each_call() {
    let definitions = tool_definitions();
    let tools = rig::tools(&definitions);
    assert_eq!(tools.len(), definitions.len());
    let [mut alice, mut bob] = two_tool_sets().map(rig::context);
    let (set, get) = (find(&tools, SET), find(&tools, GET));
    assert_eq!(set.definition().parameters["type"], "object");
    set.execute_with(&mut alice, keys("AAAA")).await.unwrap();
    assert!(get.execute_with(&mut bob, json!({})).await.is_err(), "the other session has no credentials");
    set.execute_with(&mut bob, keys("BBBB")).await.unwrap();
    for (context, suffix) in [(&mut alice, "AAAA"), (&mut bob, "BBBB")] {
        let output = get.execute_with(context, json!({})).await.unwrap();
        assert_eq!(output.as_json().unwrap()["key_suffix"], suffix);
        assert!(!output.render().contains(SECRET));
    }
}

#[tokio::test]
async fn rig_tool_without_session_or_valid_input_fails() {
    let tools = rig::tools(&tool_definitions());
    let refused = find(&tools, GET).execute_with(&mut ToolContext::new(), json!({})).await.unwrap_err();
    assert!(refused.message().contains("belongs to no credential session"), "{}", refused.message());
    let [mut alice, _] = two_tool_sets().map(rig::context);
    let invalid =
        find(&tools, SET).execute_with(&mut alice, json!({"credentials_json": "{}"})).await.unwrap_err();
    assert!(invalid.message().contains("Missing required field"), "{}", invalid.message());
}
