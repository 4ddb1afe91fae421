//! Messages of servers to the client: progress, logs, and requests, in both directions and over a stream.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use super::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra};
use crate::host_fixture::scripted_server;
use crate::process::wait_until;

fn server(era: &str) -> [(&'static str, ServerConfig); 1] {
    [("scripted", scripted_server(era, Delivery::None))]
}

async fn open(era: ProtocolEra, capabilities: Value) -> GatewayClientFixture {
    GatewayClientFixture::with_capabilities(era, capabilities, server("both")).await
}

/// Calls the server with these steps, and returns the result and the messages before it.
async fn run(client: &mut GatewayClientFixture, steps: Value, meta: Value) -> (Value, Vec<Value>) {
    let id = send_run(client, steps, meta).await;
    let mut before = Vec::new();
    loop {
        let mut message = client.receive().await.unwrap();
        if message["id"] == id {
            assert!(message["result"].is_object(), "{message}");
            return (message["result"]["structuredContent"].take(), before);
        }
        before.push(message);
    }
}

async fn send_run(client: &mut GatewayClientFixture, steps: Value, meta: Value) -> Value {
    let params = json!({"name": "scripted__run", "arguments": {"steps": steps}, "_meta": meta});
    client.send_request("tools/call", params).await
}

#[tokio::test]
async fn gateway_progress_has_token_of_client() {
    for era in ERAS {
        let mut client = open(era, json!({})).await;
        let steps = json!([{"progress": 1}, {"progress": 2}]);
        let (_, messages) = run(&mut client, steps.clone(), json!({"progressToken": "own"})).await;
        let progress = |n: u64| {
            let params = json!({"progressToken": "own", "progress": n, "x-progress": "kept"});
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        };
        assert_eq!(messages, [progress(1), progress(2)], "{era:?}");
        let (_, messages) = run(&mut client, steps, json!({})).await;
        assert_eq!(messages, [json!(null); 0], "the client has not asked for progress");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn gateway_log_messages_have_level_that_client_chose() {
    let log = |level: &str| json!(["notifications/message", {"level": level, "data": {"x": level}}]);
    let steps = json!([{"notify": log("info")}, {"notify": log("error")}, {"notify": log("strange")}]);
    let levels = |messages: Vec<Value>| -> Vec<Value> {
        messages.into_iter().map(|mut message| message["params"]["level"].take()).collect()
    };
    let mut client = open(ProtocolEra::Legacy, json!({})).await;
    let (_, messages) = run(&mut client, steps.clone(), json!({})).await;
    assert_eq!(levels(messages), ["info", "error", "strange"], "no level was chosen");
    let set = client.request("logging/setLevel", json!({"level": "warning"})).await;
    assert_eq!(set["result"], json!({}));
    let (seen, messages) = run(&mut client, steps.clone(), json!({})).await;
    assert_eq!(levels(messages), ["error", "strange"]);
    assert_eq!(seen["levels"], json!(["warning"]));
    client.close().await.unwrap();

    let mut client = open(ProtocolEra::Modern, json!({})).await;
    let (_, messages) = run(&mut client, steps.clone(), json!({})).await;
    assert_eq!(levels(messages), [""; 0], "the request chose no level");
    let meta = json!({"io.modelcontextprotocol/logLevel": "error"});
    let (seen, messages) = run(&mut client, steps, meta).await;
    assert_eq!(levels(messages), ["error", "strange"]);
    assert_eq!(seen["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "error");
    let refused = client.request("logging/setLevel", json!({"level": "warning"})).await;
    assert_eq!(refused["error"]["code"], -32601);
    client.close().await.unwrap();
}

#[tokio::test]
async fn gateway_server_request_passes_unchanged_in_both_directions() {
    let capabilities = json!({"sampling": {"x": 1}, "elicitation": {"form": {}, "url": {}}, "roots": {}});
    let mut client = open(ProtocolEra::Legacy, capabilities.clone()).await;
    for (method, params) in [
        ("sampling/createMessage", json!({"messages": [{"role": "oracle", "x": 1}], "maxTokens": 9})),
        ("elicitation/create", json!({"message": "?", "requestedSchema": {"pattern": "^a$", "x": 1}})),
        ("elicitation/create", json!({"mode": "url", "url": "https://example.com/", "elicitationId": "e"})),
        ("roots/list", json!({"x-roots": true})),
    ] {
        for answer in [json!({"result": {"x": [1, null]}}), json!({"error": {"code": -1, "data": {"x": 1}}})]
        {
            let steps = json!([{"request": [method, params]}]);
            let id = send_run(&mut client, steps, json!({})).await;
            let request = client.receive().await.unwrap();
            assert_eq!((&request["method"], &request["params"]), (&json!(method), &params));
            let mut response = answer.clone();
            response["jsonrpc"] = json!("2.0");
            response["id"] = request["id"].clone();
            client.send(&response).await;
            let seen = client.receive_response(&id).await["result"]["structuredContent"].take();
            for (field, value) in answer.as_object().unwrap() {
                assert_eq!(seen["responses"][0][field], *value, "{method} {seen}");
            }
            assert_eq!(seen["capabilities"], capabilities);
        }
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn gateway_server_request_without_capability_is_refused() {
    for (era, capabilities) in
        [(ProtocolEra::Legacy, json!({"roots": {}})), (ProtocolEra::Modern, json!({"roots": {}}))]
    {
        let mut client = GatewayClientFixture::with_capabilities(era, capabilities, server("legacy")).await;
        let steps = json!([{"request": ["sampling/createMessage", {}]}]);
        let (seen, messages) = run(&mut client, steps, json!({})).await;
        assert_eq!(messages, [json!(null); 0]);
        assert_eq!(seen["responses"][0]["error"]["code"], -32601, "{seen}");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn gateway_cancelled_call_fails_requests_of_its_server() {
    let mut client = open(ProtocolEra::Legacy, json!({"elicitation": {}})).await;
    cancel_call_with_request(&mut client).await;
    client.close().await.unwrap();
}

#[tokio::test]
async fn gateway_unreadable_response_ends_its_call() {
    let mut client = open(ProtocolEra::Legacy, json!({"elicitation": {}})).await;
    let id = send_run(&mut client, json!([{"truncate": null}]), json!({})).await;
    assert_eq!(client.receive_response(&id).await["result"]["isError"], true);
    // No other call is in progress that could need the response to a request.
    cancel_call_with_request(&mut client).await;
    client.close().await.unwrap();
}

/// Cancels a call whose server waits for the client, and checks that the request of the server fails.
async fn cancel_call_with_request(client: &mut GatewayClientFixture) {
    let folder = tmp_dir(client).await;
    let steps = json!([{"request": ["elicitation/create", {"message": "?"}]}]);
    let id = send_run(client, steps, json!({})).await;
    let request = client.receive().await.unwrap();
    let cancelled = |id: &Value| json!({"requestId": id, "reason": "enough"});
    let cancel =
        |id: &Value| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled(id)});
    client.send(&cancel(&id)).await;
    let notified = client.receive().await.unwrap();
    assert_eq!(notified["method"], "notifications/cancelled");
    assert_eq!(notified["params"]["requestId"], request["id"]);
    let file = folder.join("after_cancellation");
    wait_until("the server got an error", || file.exists()).await;
    let (seen, _) = run(client, json!([]), json!({})).await;
    assert_eq!(seen["responses"], json!([]), "the server continues");
    let response: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(response["error"]["code"], -32603, "{response}");
}

/// Returns the folder of the server's files.
async fn tmp_dir(client: &mut GatewayClientFixture) -> std::path::PathBuf {
    let (seen, _) = run(client, json!([]), json!({})).await;
    let environment = std::fs::read_to_string(format!("/proc/{}/environ", seen["pid"])).unwrap();
    environment.split('\0').find_map(|variable| variable.strip_prefix("TMPDIR=")).unwrap().into()
}

#[tokio::test]
async fn gateway_request_that_server_cancels_is_cancelled_at_client() {
    let mut client = open(ProtocolEra::Legacy, json!({"roots": {}})).await;
    let folder = tmp_dir(&mut client).await;
    let id = send_run(&mut client, json!([{"cancel": ["roots/list", {}, "go"]}]), json!({})).await;
    let request = client.receive().await.unwrap();
    assert_eq!(request["method"], "roots/list");
    std::fs::write(folder.join("go"), "").unwrap();
    let (mut cancelled, mut result) = (None, None);
    while cancelled.is_none() || result.is_none() {
        let message = client.receive().await.unwrap();
        if message["id"] == id { result = Some(message) } else { cancelled = Some(message) }
    }
    let cancelled = cancelled.unwrap();
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
    client.close().await.unwrap();
}

#[tokio::test]
async fn gateway_server_gets_capabilities_of_its_client() {
    let capabilities = json!({"sampling": {"tools": {}}, "extensions": {"vendor/x": {"y": 1}}});
    let mut client = open(ProtocolEra::Legacy, capabilities.clone()).await;
    let (seen, _) = run(&mut client, json!([]), json!({})).await;
    assert_eq!(seen["capabilities"], capabilities, "as the client sent them, in its own era");
    client.close().await.unwrap();
    let mut client = open(ProtocolEra::Modern, capabilities.clone()).await;
    let (seen, _) = run(&mut client, json!([]), json!({})).await;
    let key = "io.modelcontextprotocol/clientCapabilities";
    assert_eq!(seen["params"]["_meta"][key], capabilities);
    assert_eq!(seen["capabilities"], json!(null), "the server was not initialized");
    client.close().await.unwrap();
}

#[tokio::test]
async fn gateway_client_with_other_capabilities_gets_other_process() {
    let mut client = open(ProtocolEra::Modern, json!({})).await;
    let (first, _) = run(&mut client, json!([]), json!({})).await;
    let sampling = json!({"io.modelcontextprotocol/clientCapabilities": {"sampling": {}}});
    let (other, _) = run(&mut client, json!([]), sampling.clone()).await;
    assert_ne!(first["pid"], other["pid"]);
    assert_eq!(run(&mut client, json!([]), sampling).await.0["pid"], other["pid"]);
    assert_eq!(run(&mut client, json!([]), json!({})).await.0["pid"], first["pid"]);
    client.close().await.unwrap();
}

#[tokio::test]
async fn gateway_flood_of_notifications_does_not_hold_up_call() {
    let mut client = open(ProtocolEra::Legacy, json!({})).await;
    let flood = json!({"notify": ["notifications/message", {"level": "info", "data": "x".repeat(4096)}]});
    let steps: Vec<_> = (0..2000).map(|_| flood.clone()).collect();
    let (_, messages) = run(&mut client, json!(steps), json!({})).await;
    assert!(messages.len() <= 2000);
    let (_, messages) = run(&mut client, json!([flood]), json!({})).await;
    assert_eq!(messages.last().unwrap()["method"], "notifications/message", "a client that reads gets it");
    client.close().await.unwrap();
}
