//! Calls and lists pass through unchanged: unknown fields, errors, pages, changes, and cancellation by the caller.

use serde_json::json;
use tokio_util::sync::CancellationToken;
use valetkey_mcp::child::Delivery;

use crate::keys::{assert_masks_are_whole, assert_no_secret_part, secret_of_key};
use crate::process::wait_until;
use crate::stage::{Stage, fixture, raw_server};

async fn raw_host(mode: &str) -> Stage {
    let stage = Stage::without_credentials([("raw", raw_server(mode))]).await;
    stage.set("AAAA");
    stage
}

#[tokio::test]
async fn tool_unknown_fields_are_passed_through() {
    let stage = raw_host("fields").await;
    let tool = stage.catalog().await.tools.remove(0);
    let expected = json!({
        "name": "raw__tool",
        "inputSchema": {"type": "object", "x-schema": {"deep": [1, null]}},
        "outputSchema": {"type": "object"},
        "icons": [{"src": "data:,", "x-icon": 1}],
        "annotations": {"readOnlyHint": true, "x-hint": "y"},
        "_meta": {"vendor/tool": 1},
        "x-tool": {"kept": true},
    });
    assert_eq!(tool.definition, expected);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_unknown_fields_are_passed_through() {
    let stage = raw_host("fields").await;
    let arguments = json!({"deep": {"x": [null, 1.5, "é"]}, "": true});
    let mut result = stage.call_raw("raw__tool", arguments.clone()).await;
    let heard = result["structuredContent"].take();
    assert_eq!(heard["echo"]["arguments"], arguments);
    let expected = json!({
        "content": [
            {"type": "text", "text": "t", "x-text": 1, "annotations": {"audience": ["user"], "x": 2}},
            {"type": "hologram", "depth": 3},
            {"type": "image", "data": "AA==", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "x:y", "text": "r", "x-resource": []}},
        ],
        "structuredContent": null,
        "_meta": {"vendor/result": {"n": 1}},
        "x-result": "kept",
    });
    assert_eq!(result, expected);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_modern_server_receives_arguments() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let arguments = json!({"a": [1, {"b": null}]});
    assert_eq!(stage.call("fixture__echo", arguments.clone()).await["echo"], arguments);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_refused_by_server_reports_code_and_message() {
    let stage = raw_host("refusing").await;
    stage.catalog().await;
    let told = stage.call_error("raw__tool").await;
    assert!(told.contains("-32042") && told.contains("not today"), "{told}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_refusal_with_secret_is_masked() {
    let stage = raw_host("secretive").await;
    let told = stage.call_error("raw__tool").await;
    assert!(told.contains("denied: [redacted]"), "{told}");
    assert_masks_are_whole(&told);
    assert_no_secret_part(&told, &secret_of_key("AAAA"));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_invalid_response_fails_at_once() {
    let stage = raw_host("broken").await;
    let told = stage.call_error("raw__tool").await;
    assert!(told.contains("neither a result nor an error"), "{told}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn list_in_pages_is_read_to_the_last_page() {
    let stage = raw_host("pages").await;
    let catalog = stage.catalog().await;
    let tools: Vec<_> = catalog.tools.iter().map(|tool| tool.tool.as_str()).collect();
    assert_eq!(tools, ["tool0", "tool1", "tool2", "last", &"long".repeat(30), "größe.x"]);
    let twice: Vec<_> = catalog.faults.iter().map(|fault| fault.error.message().to_owned()).collect();
    assert_eq!(twice, ["the tool `last` is listed twice, and was left out"]);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn list_changed_notification_refreshes_list() {
    let stage = raw_host("changing").await;
    assert_eq!(stage.catalog().await.tools[0].name, "raw__tool");
    stage.call("raw__tool", json!({})).await;
    assert_eq!(stage.catalog().await.tools[0].name, "raw__after");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_cancelled_is_forwarded_to_server() {
    let stage = raw_host("cancelled").await;
    stage.catalog().await;
    let folder = crate::host::tmp_dir_of_server(&stage, "raw");
    let (cancelled, name) = (CancellationToken::new(), "raw__tool");
    let cancel = async {
        wait_until("the call has arrived", || folder.join("called").exists()).await;
        cancelled.cancel();
    };
    let (result, ()) = tokio::join!(stage.host.call(name, None, &cancelled), cancel);
    let result = result.unwrap();
    assert_eq!(result["isError"], true);
    assert!(result["content"][0]["text"].as_str().unwrap().contains("cancelled"), "{result}");
    wait_until("the server was told", || folder.join("cancelled").exists()).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_cancelled_before_start_is_not_sent() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Endpoint))]).await;
    stage.catalog().await;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let result = stage.host.call("fixture__whoami", None, &cancelled).await.unwrap();
    assert_eq!(result["isError"], true);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_unknown_tool_returns_none() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    for name in ["fixture__nothing", "nobody__whoami", "whoami", ""] {
        assert!(stage.host.call(name, None, &CancellationToken::new()).await.is_none(), "{name}");
    }
    stage.host.shutdown().await;
}
