//! Pass-through: every field of every result and tool, cancellation, and concurrent calls.

use serde_json::json;
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture};
use crate::host_fixture::{fixture_server, raw_server};
use crate::process::{group_members, wait_until};

#[tokio::test]
async fn gateway_unknown_fields_are_passed_through() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, [("raw", raw_server("fields"))]).await;
        client.set("AAAA").await;
        let tool = client.list_tools().await.pop().unwrap();
        for (field, value) in [
            ("name", json!("raw__tool")),
            ("icons", json!([{"src": "data:,", "x-icon": 1}])),
            ("annotations", json!({"readOnlyHint": true, "x-hint": "y"})),
            ("_meta", json!({"vendor/tool": 1})),
            ("x-tool", json!({"kept": true})),
        ] {
            assert_eq!(tool[field], value, "{field}");
        }
        let mut input = tool["inputSchema"].clone();
        let added = input.as_object_mut().unwrap().remove("properties").unwrap();
        assert_eq!(input, json!({"type": "object", "x-schema": {"deep": [1, null]}}));
        assert_eq!(added.as_object().unwrap().keys().collect::<Vec<_>>(), ["credential_session"]);
        let result = client.call("raw__tool", json!({"x": [null, 1.5]})).await;
        assert_eq!(result["content"][1], json!({"type": "hologram", "depth": 3}));
        assert_eq!(result["content"][0]["annotations"], json!({"audience": ["user"], "x": 2}));
        assert_eq!(result["structuredContent"]["echo"]["arguments"], json!({"x": [null, 1.5]}));
        assert_eq!(result["_meta"]["vendor/result"], json!({"n": 1}));
        assert_eq!(result["x-result"], "kept");
        assert!(result.get("isError").is_none_or(|error| error == false), "{result}");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn gateway_own_tools_have_schema_and_annotations() {
    let mut client = GatewayClientFixture::open(ERAS[0], []).await;
    for tool in client.list_tools().await {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(tool["description"].as_str().is_some_and(|text| !text.is_empty()), "{tool}");
        assert!(tool["annotations"]["readOnlyHint"].is_boolean(), "{tool}");
        assert_eq!(tool["annotations"]["openWorldHint"], false, "{tool}");
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn gateway_cancellation_is_forwarded_to_server() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(
            era,
            [("raw", raw_server("cancelled")), ("fixture", fixture_server(Delivery::None))],
        )
        .await;
        client.set("AAAA").await;
        let folder = client.call("fixture__whoami", json!({})).await["structuredContent"]["tmp"].take();
        let folder = std::path::PathBuf::from(folder.as_str().unwrap());
        let id = client.send_request("tools/call", json!({"name": "raw__tool", "arguments": {}})).await;
        wait_until("the call has arrived", || folder.join("called").exists()).await;
        let params = json!({"requestId": id, "reason": "enough"});
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})).await;
        wait_until("the server was notified", || folder.join("cancelled").exists()).await;
        assert_eq!(client.call("fixture__whoami", json!({})).await["structuredContent"]["key"], "none");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn gateway_concurrent_calls_survive_rotation() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let mut client = GatewayClientFixture::open(ERAS[1], [("fixture", fixture_server(delivery))]).await;
        client.set("AAAA").await;
        let before = client.call("fixture__whoami", json!({})).await["structuredContent"].take();
        let folder = std::path::PathBuf::from(before["tmp"].as_str().unwrap());
        let slow = client
            .send_request("tools/call", json!({"name": "fixture__slow", "arguments": {"name": "go"}}))
            .await;
        wait_until("the call has begun", || folder.join("go.began").exists()).await;
        client.set("BBBB").await;
        std::fs::write(folder.join("go"), "").unwrap();
        let slow = client.receive_response(&slow).await["result"]["structuredContent"].take();
        assert_eq!((&slow["key"], &slow["pid"]), (&json!("AAAA"), &before["pid"]));
        let after = client.call("fixture__whoami", json!({})).await["structuredContent"].take();
        assert_eq!(after["key"], "BBBB");
        assert_ne!(after["pid"], before["pid"], "other credentials, another process");
        client.close().await.unwrap();
        let leader = after["pid"].as_u64().unwrap().try_into().unwrap();
        wait_until("all processes have ended", || group_members(leader).is_empty()).await;
    }
}
