//! Unreadable messages get an error for their id at once, values are passed on exactly as sent, and input from peers
//! is bounded.

use serde_json::json;
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture};
use crate::host_fixture::{fixture_server, raw_server};

#[tokio::test]
async fn unreadable_response_fails_only_its_call() {
    for (mode, reason) in [
        ("nan", "not valid JSON"),
        ("deep", "nested"),
        ("long", "16 MiB"),
        ("cut", "not valid JSON"),
        ("severed", "not valid JSON at column 68, and has lost its id"),
    ] {
        let mut client = GatewayClientFixture::open(
            ERAS[0],
            [("raw", raw_server(mode)), ("fixture", fixture_server(Delivery::Env))],
        )
        .await;
        client.set("AAAA").await;
        let failed = client.call("raw__tool", json!({})).await;
        let text = failed["content"][0]["text"].as_str().unwrap();
        assert!(failed["isError"] == true && text.contains(reason), "{mode}: {text}");
        let again = client.call("raw__tool", json!({})).await;
        assert_eq!(again["isError"], true, "the connection goes on");
        assert_eq!(client.call("fixture__whoami", json!({})).await["structuredContent"]["key"], "AAAA");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn response_without_id_fails_remaining_call() {
    let mut client = GatewayClientFixture::open(ERAS[0], [("raw", raw_server("either"))]).await;
    client.set("AAAA").await;
    let mut results = Vec::new();
    let params = json!({"name": "raw__tool", "arguments": {}});
    let first = client.send_request("tools/call", params.clone()).await;
    let second = client.send_request("tools/call", params).await;
    while results.len() < 2 {
        let message = client.receive().await.unwrap();
        if message["id"] == first || message["id"] == second {
            results.push(message["result"].clone());
        }
    }
    assert_ne!(results[0]["isError"], true, "{results:?}");
    assert_eq!(results[1]["isError"], true, "{results:?}");
    assert!(results[1]["content"][0]["text"].as_str().unwrap().contains("not valid JSON"), "{results:?}");
    client.close().await.unwrap();
}

#[tokio::test]
async fn log_resembling_response_fails_no_call() {
    let mut client = GatewayClientFixture::open(ERAS[0], [("raw", raw_server("logging"))]).await;
    client.set("AAAA").await;
    assert_eq!(client.call("raw__tool", json!({})).await["structuredContent"]["value"], 1);
    client.close().await.unwrap();
}

#[tokio::test]
async fn response_with_lone_surrogate_is_repaired() {
    let mut client = GatewayClientFixture::open(ERAS[1], [("raw", raw_server("surrogate"))]).await;
    client.set("AAAA").await;
    let result = client.call("raw__tool", json!({})).await;
    assert_eq!(result["structuredContent"]["value"], "half \u{fffd} of a pair");
    client.close().await.unwrap();
}

#[tokio::test]
async fn numbers_and_key_order_are_passed_through_unchanged() {
    let mut client = GatewayClientFixture::open(ERAS[0], [("raw", raw_server("exact"))]).await;
    client.set("AAAA").await;
    client.call("raw__tool", json!({})).await;
    let result = r#"{"z":12345678901234567890123,"a":0.1000000000000000055511151231257827}"#;
    assert!(client.received.contains(result), "{}", client.received);

    client.close().await.unwrap();
}

#[tokio::test]
async fn unreadable_request_returns_error_with_its_id() {
    let mut client = GatewayClientFixture::open(ERAS[0], []).await;
    client.send_line(r#"{"jsonrpc":"2.0","id":41,"method":"tools/call","params":{"a":NaN}}"#).await;
    let error = client.receive_response(&json!(41)).await;
    assert_eq!(error["error"]["code"], -32700, "{error}");
    client
        .send_line(&format!(
            r#"{{"jsonrpc":"2.0","id":"deep","method":"x","params":{}{}}}"#,
            "[".repeat(300),
            "]".repeat(300)
        ))
        .await;
    let error = client.receive_response(&json!("deep")).await;
    assert_eq!(error["error"]["code"], -32700, "{error}");
    client.send_line(r#"{"method":"tools/call","params":{"name":"abc,"jsonrpc":"2.0","id":43}"#).await;
    let error = client.receive_response(&json!(43)).await;
    assert_eq!(error["error"]["code"], -32700, "{error}");
    assert_eq!(client.call("clear_credential_context", json!({})).await["isError"], false);
    client.close().await.unwrap();
}

#[tokio::test]
async fn request_without_id_returns_error_without_id() {
    let mut client = GatewayClientFixture::open(ERAS[0], [("raw", raw_server("cancelled"))]).await;
    client.set("AAAA").await;
    let pending = client.send_request("tools/call", json!({"name": "raw__tool", "arguments": {}})).await;
    for line in [
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"abc"#.to_owned(),
        // The id of another request, which continues.
        format!(r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"arguments":{{"a":1,"id":{pending}}}"#),
    ] {
        client.send_line(&line).await;
        let error = loop {
            let message = client.receive().await.unwrap();
            if message.get("error").is_some() {
                break message;
            }
        };
        assert!(error.get("id").is_none() && error["error"]["code"] == -32700, "{error}");
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn requests_beyond_limit_get_an_error() {
    let mut client = GatewayClientFixture::open(ERAS[0], [("raw", raw_server("cancelled"))]).await;
    client.set("AAAA").await;
    client.list_tool_names().await;
    // None of these calls ends; the limit is 256.
    for id in 1000..1256 {
        let params = json!({"name": "raw__tool", "arguments": {}});
        client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})).await;
    }
    let refused = client.request("tools/list", json!({})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("256"), "{refused}");
    client
        .send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1000}}))
        .await;
    assert!(client.request("tools/list", json!({})).await["result"].is_object(), "there is room again");
    client.close().await.unwrap();
}

#[tokio::test]
async fn child_flooding_requests_completes_its_call() {
    let mut client = GatewayClientFixture::open(ERAS[0], [("raw", raw_server("floods"))]).await;
    client.set("AAAA").await;
    assert!(client.call("raw__tool", json!({})).await["content"].is_array());
    client.close().await.unwrap();
}
