//! Calls and lists pass through unchanged: unknown fields, errors, pages, changes, and cancellation by the caller.

use serde_json::json;
use tokio_util::sync::CancellationToken;
use valetkey_mcp::child::Delivery;

use crate::host_fixture::{HostFixture, fixture_server, raw_server};
use crate::keys::{assert_masks_are_whole, assert_no_secret_part, secret_of_key};
use crate::process::wait_until;

async fn raw_host(mode: &str) -> HostFixture {
    let fixture = HostFixture::without_credentials([("raw", raw_server(mode))]).await;
    fixture.set("AAAA");
    fixture
}

#[tokio::test]
async fn tool_unknown_fields_are_passed_through() {
    let fixture = raw_host("fields").await;
    let tool = fixture.catalog().await.tools.remove(0);
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
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_unknown_fields_are_passed_through() {
    let fixture = raw_host("fields").await;
    let arguments = json!({"deep": {"x": [null, 1.5, "é"]}, "": true});
    let mut result = fixture.call_raw("raw__tool", arguments.clone()).await;
    let heard = result["structuredContent"].take();
    assert_eq!(heard["echo"]["arguments"], arguments);
    let receipt = result["_meta"].as_object_mut().unwrap().remove("valetkey/receipt").unwrap();
    assert_eq!(receipt["account"], "default");
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
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_modern_server_receives_arguments() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let arguments = json!({"a": [1, {"b": null}]});
    assert_eq!(fixture.call("fixture__echo", arguments.clone()).await["echo"], arguments);
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_refused_by_server_reports_code_and_message() {
    let fixture = raw_host("refusing").await;
    fixture.catalog().await;
    let message = fixture.call_error("raw__tool").await;
    assert!(message.contains("-32042") && message.contains("not today"), "{message}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_refusal_with_secret_is_masked() {
    let fixture = raw_host("secretive").await;
    let message = fixture.call_error("raw__tool").await;
    assert!(message.contains("denied: [redacted]"), "{message}");
    assert_masks_are_whole(&message);
    assert_no_secret_part(&message, &secret_of_key("AAAA"));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_invalid_response_fails_at_once() {
    let fixture = raw_host("broken").await;
    let message = fixture.call_error("raw__tool").await;
    assert!(message.contains("neither a result nor an error"), "{message}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn list_in_pages_is_read_to_the_last_page() {
    let fixture = raw_host("pages").await;
    let catalog = fixture.catalog().await;
    let tools: Vec<_> = catalog.tools.iter().map(|tool| tool.tool.as_str()).collect();
    assert_eq!(tools, ["tool0", "tool1", "tool2", "last", &"long".repeat(30), "größe.x"]);
    let twice: Vec<_> = catalog.errors.iter().map(|error| error.error.message().to_owned()).collect();
    assert_eq!(twice, ["the tool `last` is listed twice, and was left out"]);
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn list_changed_notification_refreshes_list() {
    let fixture = raw_host("changing").await;
    assert_eq!(fixture.catalog().await.tools[0].name, "raw__tool");
    fixture.call("raw__tool", json!({})).await;
    assert_eq!(fixture.catalog().await.tools[0].name, "raw__after");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_cancelled_is_forwarded_to_server() {
    let fixture = raw_host("cancelled").await;
    fixture.catalog().await;
    let folder = crate::host::tmp_dir_of_server(&fixture, "raw");
    let (cancelled, name) = (CancellationToken::new(), "raw__tool");
    let cancel = async {
        wait_until("the call has arrived", || folder.join("called").exists()).await;
        cancelled.cancel();
    };
    let (result, ()) = tokio::join!(fixture.host.call(name, None, &cancelled), cancel);
    let result = result.unwrap();
    assert_eq!(result["isError"], true);
    assert!(result["content"][0]["text"].as_str().unwrap().contains("cancelled"), "{result}");
    wait_until("the server was notified", || folder.join("cancelled").exists()).await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_cancelled_before_start_is_not_sent() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::Endpoint))]).await;
    fixture.catalog().await;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let result = fixture.host.call("fixture__whoami", None, &cancelled).await.unwrap();
    assert_eq!(result["isError"], true);
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_unknown_tool_returns_none() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    for name in ["fixture__nothing", "unknown__whoami", "whoami", ""] {
        assert!(fixture.host.call(name, None, &CancellationToken::new()).await.is_none(), "{name}");
    }
    fixture.host.shutdown().await;
}
