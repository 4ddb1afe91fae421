//! Results that require input: the request state and the responses belong to the server. They are input of the client, so
//! that they select nothing at the gateway, apart from a call of the same session that waits for them.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, BOB, HttpGatewayFixture, tokens};
use crate::host_fixture::{content_server, scripted_server};

async fn start() -> HttpGatewayFixture {
    let servers = vec![
        ("scripted", scripted_server("both", Delivery::None)),
        ("content", content_server("modern", "content")),
    ];
    HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway).await
}

async fn with_session(gateway: &HttpGatewayFixture, token: &str) -> HttpClientFixture {
    let mut client = gateway.modern(token);
    client.handle = Some(client.create_session().await);
    client.set("AAAA").await;
    client
}

/// Calls the server with these steps and parameters, and returns the whole response.
async fn call(client: &mut HttpClientFixture, steps: Value, other: Value) -> Value {
    let mut params = json!({"name": "scripted__run", "arguments": {"steps": steps}});
    params.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    client.request("tools/call", params).await.json()
}

/// Returns the parameters and the process that the server reports.
async fn seen(client: &mut HttpClientFixture, other: Value) -> (Value, Value) {
    let mut reply = call(client, json!([]), other).await;
    assert!(reply["result"].is_object(), "{reply}");
    let mut seen = reply["result"]["structuredContent"].take();
    (seen["params"].take(), seen["pid"].take())
}

#[tokio::test]
async fn input_required_result_is_passed_unchanged() {
    let gateway = start().await;
    let mut client = with_session(&gateway, ALICE).await;
    let required = json!({
        "resultType": "input_required",
        "inputRequests": {"a": {"method": "vendor/unknown", "params": {"x": [1.50, null]}}},
        "requestState": "opaque \u{0} \u{1F511}",
        "x-required": true,
    });
    let mut reply = call(&mut client, json!([{"result": required}]), json!({})).await;
    reply["result"].as_object_mut().unwrap().remove("_meta");
    assert_eq!(reply["result"], required);
    gateway.stop().await;
}

#[tokio::test]
async fn request_state_reaches_server_as_sent() {
    let gateway = start().await;
    let mut client = with_session(&gateway, ALICE).await;
    let long = "x".repeat(1_000_000);
    for state in ["state", "state", "statE", "", "{\"round\": 7}", "\u{0}\u{1F511}\n", &long] {
        let responses = json!({"a": {"action": "accept"}, "unknown": 7, "none": null});
        let input = json!({"requestState": state, "inputResponses": responses, "x-extra": [state]});
        let (params, _) = seen(&mut client, input.clone()).await;
        for field in ["requestState", "inputResponses", "x-extra"] {
            assert!(params[field] == input[field], "{field}");
        }
    }
    let (params, _) = seen(&mut client, json!({"requestState": "s", "inputResponses": {}})).await;
    assert_eq!(params["inputResponses"], json!({}), "the server finds what is missing");
    gateway.stop().await;
}

#[tokio::test]
async fn request_state_of_others_reaches_own_process() {
    let gateway = start().await;
    let mut alice = with_session(&gateway, ALICE).await;
    let required = json!({"resultType": "input_required", "requestState": "state-of-alice"});
    call(&mut alice, json!([{"result": required}]), json!({})).await;
    let stolen = json!({"requestState": "state-of-alice"});
    let (_, owner) = seen(&mut alice, stolen.clone()).await;
    let mut pids = vec![owner];
    for token in [BOB, ALICE] {
        let mut other = with_session(&gateway, token).await;
        let (params, pid) = seen(&mut other, stolen.clone()).await;
        assert_eq!(params["requestState"], "state-of-alice", "the server has to refuse it");
        assert!(!pids.contains(&pid), "another session, another process");
        pids.push(pid);
    }
    let mut guessing = gateway.modern(BOB);
    guessing.handle.clone_from(&alice.handle);
    let refused = call(&mut guessing, json!([]), stolen).await;
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    assert!(refused["result"]["content"][0]["text"].as_str().unwrap().contains("no open credential session"));
    gateway.stop().await;
}

#[tokio::test]
async fn interrupted_call_continues_only_in_own_session() {
    let servers = vec![("scripted", scripted_server("legacy", Delivery::Endpoint))];
    let gateway = HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway).await;
    let mut clients = Vec::new();
    for token in [ALICE, ALICE, BOB] {
        let mut client = gateway.modern(token);
        client.capabilities = json!({"roots": {}});
        client.handle = Some(client.create_session().await);
        client.set("AAAA").await;
        clients.push(client);
    }
    let steps = json!([{"request": ["roots/list", {}]}]);
    let required = call(&mut clients[0], steps.clone(), json!({})).await["result"].take();
    assert_eq!(required["resultType"], "input_required", "{required}");
    let name = required["inputRequests"].as_object().unwrap().keys().next().unwrap();
    let roots = json!({"roots": [{"uri": "file:///work"}]});
    let input = json!({"requestState": required["requestState"], "inputResponses": {name: roots}});
    for other in [1, 2] {
        let refused = call(&mut clients[other], steps.clone(), input.clone()).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    // The retry is on another connection.
    let result = call(&mut clients[0], steps, input).await["result"].take();
    assert_eq!(result["structuredContent"]["responses"][0]["result"], roots, "{result}");
    gateway.stop().await;
}

#[tokio::test]
async fn input_malformed_or_oversized_is_refused() {
    let gateway = start().await;
    let mut client = with_session(&gateway, ALICE).await;
    for input in [json!({"requestState": 7}), json!({"requestState": {}}), json!({"inputResponses": 7})] {
        let refused = call(&mut client, json!([]), input.clone()).await;
        assert_eq!(refused["error"]["code"], -32602, "{input} {refused}");
    }
    let state = "x".repeat(4 * 1024 * 1024);
    let params = json!({"name": "scripted__run", "arguments": {}, "requestState": state});
    assert_eq!(client.request("tools/call", params).await.status, 413);
    gateway.stop().await;
}

#[tokio::test]
async fn resource_not_found_is_passed_with_its_data() {
    let gateway = start().await;
    let mut legacy = gateway.legacy(ALICE).await;
    legacy.set("AAAA").await;
    let modern = with_session(&gateway, ALICE).await;
    for (mut client, code) in [(legacy, -32002), (modern, -32602)] {
        let missing = client.request("resources/read", json!({"uri": "content:missing"})).await;
        assert_eq!(missing.error(), (200, code), "{missing:?}");
        let error = missing.json()["error"].take();
        assert_eq!(
            (&error["message"], &error["data"]),
            (&json!("no such resource"), &json!({"secret": "[redacted]"})),
            "as the server sent it"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn unknown_tool_without_session_is_a_protocol_error() {
    let gateway = start().await;
    let mut client = gateway.modern(ALICE);
    for name in ["unknown", "scripted__unknown"] {
        let refused = client.request("tools/call", json!({"name": name, "arguments": {}})).await;
        assert_eq!(refused.error(), (200, -32602), "{refused:?}");
    }
    client.call_error("content__change", json!({})).await;
    gateway.stop().await;
}
