//! Elicitation by a modern server reaches a legacy client as a request.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;

use super::client_fixture::{GatewayClientFixture, ProtocolEra};
use crate::host_fixture::scripted_server;
use crate::keys::{assert_no_secret_part, secret_of_key};

async fn open(capabilities: Value) -> GatewayClientFixture {
    let servers = [("scripted", scripted_server("modern", Delivery::Env))];
    let mut client =
        GatewayClientFixture::with_capabilities(ProtocolEra::Legacy, capabilities, servers).await;
    client.set("AAAA").await;
    client
}

fn required(method: &str) -> Value {
    let params = json!({"message": "SECRET?", "requestedSchema": {"type": "object", "x": 1}});
    json!({
        "resultType": "input_required",
        "inputRequests": {"name": {"method": method, "params": params}},
        "requestState": "state",
    })
}

async fn send_call(client: &mut GatewayClientFixture, steps: Value) -> Value {
    let params = json!({"name": "scripted__run", "arguments": {"steps": steps}});
    client.send_request("tools/call", params).await
}

#[tokio::test]
async fn input_of_modern_server_is_requested_of_legacy_client() {
    let mut client = open(json!({"elicitation": {}, "sampling": {}})).await;
    let id = send_call(&mut client, json!([{"require": required("elicitation/create")}])).await;
    let request = client.receive().await.unwrap();
    assert_eq!(request["method"], "elicitation/create", "{request}");
    assert_eq!(request["params"]["message"], "[redacted]?");
    assert_eq!(request["params"]["requestedSchema"], json!({"type": "object", "x": 1}));
    let response = json!({"action": "accept", "content": {"name": "Ada"}, "x": [1.50]});
    client.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": response})).await;
    let result = client.receive_response(&id).await;
    let seen = &result["result"]["structuredContent"]["params"];
    assert_eq!(seen["inputResponses"], json!({"name": response}), "{result}");
    assert_eq!(seen["requestState"], "state");
    let declared = &seen["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(*declared, json!({"elicitation": {}}), "sampling is not bridged");
    assert_no_secret_part(&client.received, &secret_of_key("AAAA"));
    client.close().await.unwrap();
}

#[tokio::test]
async fn input_that_legacy_client_refuses_fails_its_call() {
    let mut client = open(json!({"elicitation": {}})).await;
    let id = send_call(&mut client, json!([{"require": required("elicitation/create")}])).await;
    let request = client.receive().await.unwrap();
    let error = json!({"code": -1, "message": "no"});
    client.send(&json!({"jsonrpc": "2.0", "id": request["id"], "error": error})).await;
    let failed = client.receive_response(&id).await;
    let text = failed["result"]["content"][0]["text"].as_str().unwrap();
    assert!(failed["result"]["isError"] == true && text.contains("refused"), "{failed}");
    for (method, reason) in [("sampling/createMessage", "`sampling`"), ("vendor/x", "no such method")] {
        let id = send_call(&mut client, json!([{"result": required(method)}])).await;
        let failed = client.receive_response(&id).await;
        let text = failed["result"]["content"][0]["text"].as_str().unwrap();
        assert!(failed["result"]["isError"] == true && text.contains(reason), "{failed}");
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn server_that_always_requires_input_fails_its_call() {
    let mut client = open(json!({"elicitation": {}})).await;
    let id = send_call(&mut client, json!([{"result": required("elicitation/create")}])).await;
    let failed = client.respond_until(&id).await;
    let text = failed["result"]["content"][0]["text"].as_str().unwrap();
    assert!(failed["result"]["isError"] == true && text.contains("again and again"), "{failed}");
    assert_eq!(client.received.matches("elicitation/create").count(), 8);
    client.close().await.unwrap();
}
