//! Input that a server requires of a client of the other era: a legacy client gets requests during its call, and a modern
//! client a result after which it repeats the call.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;

use super::client_fixture::{GatewayClientFixture, ProtocolEra};
use crate::host_fixture::scripted_server;
use crate::keys::{assert_no_secret_part, secret_of_key};

/// Opens a legacy client of a modern server.
async fn open(capabilities: Value) -> GatewayClientFixture {
    open_across(ProtocolEra::Legacy, capabilities).await
}

/// Opens a client of this era, and a server of the other one.
async fn open_across(era: ProtocolEra, capabilities: Value) -> GatewayClientFixture {
    let of_server = if era == ProtocolEra::Legacy { "modern" } else { "legacy" };
    let servers = [("scripted", scripted_server(of_server, Delivery::Env))];
    let mut client = GatewayClientFixture::with_capabilities(era, capabilities, servers).await;
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
    assert_eq!(*declared, json!({"elicitation": {}, "sampling": {}}));
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

/// The requests that a server can make, with parameters.
fn server_requests() -> [(&'static str, Value); 4] {
    [
        ("sampling/createMessage", json!({"messages": [{"role": "oracle", "x": "SECRET"}], "maxTokens": 9})),
        ("elicitation/create", json!({"message": "SECRET", "requestedSchema": {"pattern": "^a$", "x": 1}})),
        (
            "elicitation/create",
            json!({"mode": "url", "url": "https://example.com/SECRET", "elicitationId": "e"}),
        ),
        ("roots/list", json!({"x-roots": "SECRET"})),
    ]
}

fn all_capabilities() -> Value {
    json!({"sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {}})
}

fn masked(params: &Value) -> Value {
    serde_json::from_str(&params.to_string().replace("SECRET", "[redacted]")).unwrap()
}

#[tokio::test]
async fn input_of_every_kind_reaches_legacy_client() {
    let mut client = open(all_capabilities()).await;
    for (method, params) in server_requests() {
        let required = json!({"resultType": "input_required", "inputRequests": {"a": {"method": method, "params": params}}});
        for prompt in [false, true] {
            let id = match prompt {
                true => send_get_prompt(&mut client, &json!([{"require": required}])).await,
                false => send_call(&mut client, json!([{"require": required}])).await,
            };
            let request = client.receive().await.unwrap();
            assert_eq!((&request["method"], &request["params"]), (&json!(method), &masked(&params)));
            let response = json!({"x": [1.50, method]});
            client.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": response})).await;
            let mut result = client.receive_response(&id).await["result"].take();
            let seen = result[if prompt { "seen" } else { "structuredContent" }].take();
            assert_eq!(seen["params"]["inputResponses"], json!({"a": response}), "{method} {result}");
        }
    }
    client.close().await.unwrap();
}

async fn send_get_prompt(client: &mut GatewayClientFixture, steps: &Value) -> Value {
    let params = json!({"name": "scripted__run", "arguments": {"steps": steps.to_string()}});
    client.send_request("prompts/get", params).await
}

/// Calls the tool with these steps and further parameters, and returns the result.
async fn call_with(client: &mut GatewayClientFixture, steps: &Value, other: Value) -> Value {
    let mut params = json!({"name": "scripted__run", "arguments": {"steps": steps}});
    params.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    let mut response = client.request("tools/call", params).await;
    assert!(response["result"].is_object(), "{response}");
    response["result"].take()
}

/// Returns the name and the value of the only request in a result.
fn only_request(result: &Value) -> (String, Value) {
    assert_eq!(result["resultType"], "input_required", "{result}");
    let requests = result["inputRequests"].as_object().unwrap();
    assert_eq!(requests.len(), 1, "{result}");
    let (name, request) = requests.iter().next().unwrap();
    (name.clone(), request.clone())
}

/// Returns the parameters that repeat a call with this response to its only request.
fn repeated(result: &Value, response: &Value) -> Value {
    let (name, _) = only_request(result);
    json!({"requestState": result["requestState"], "inputResponses": {name: response}})
}

#[tokio::test]
async fn input_of_legacy_server_is_result_for_modern_client() {
    let mut client = open_across(ProtocolEra::Modern, all_capabilities()).await;
    let steps = server_requests().map(|(method, params)| json!({"request": [method, params]}));
    let steps = json!(steps);
    let mut result = call_with(&mut client, &steps, json!({})).await;
    let mut responses = Vec::new();
    for (method, params) in server_requests() {
        let (_, request) = only_request(&result);
        assert_eq!(request, json!({"method": method, "params": masked(&params)}));
        let response = json!({"x": [1.50, method]});
        result = call_with(&mut client, &steps, repeated(&result, &response)).await;
        responses.push(response);
    }
    assert_eq!(result["resultType"], "complete", "{result}");
    assert!(result["_meta"]["valetkey/receipt"].is_object(), "{result}");
    let seen = &result["structuredContent"];
    let received: Vec<&Value> = seen["responses"].as_array().unwrap().iter().map(|r| &r["result"]).collect();
    assert_eq!(json!(received), json!(responses));
    assert_eq!(seen["capabilities"], all_capabilities());
    assert_no_secret_part(&client.received, &secret_of_key("AAAA"));
    client.close().await.unwrap();
}

#[tokio::test]
async fn input_of_legacy_server_for_prompt_is_result() {
    let mut client = open_across(ProtocolEra::Modern, all_capabilities()).await;
    let steps = json!([{"request": ["roots/list"]}]).to_string();
    let mut params = json!({"name": "scripted__run", "arguments": {"steps": steps}});
    let result = client.request("prompts/get", params.clone()).await["result"].take();
    assert_eq!(only_request(&result).1["method"], "roots/list");
    let other = repeated(&result, &json!({"roots": []}));
    params.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    let result = client.request("prompts/get", params).await["result"].take();
    assert_eq!(result["seen"]["responses"][0]["result"], json!({"roots": []}), "{result}");
    client.close().await.unwrap();
}

#[tokio::test]
async fn interrupted_call_has_progress_token_of_newest_request() {
    let mut client = open_across(ProtocolEra::Modern, all_capabilities()).await;
    let steps = json!([{"progress": 1}, {"request": ["roots/list", {}]}, {"progress": 2}]);
    let meta = |token: &str| json!({"_meta": {"progressToken": token}});
    let first = call_with(&mut client, &steps, meta("first")).await;
    let mut repeat = repeated(&first, &json!({}));
    repeat.as_object_mut().unwrap().extend(meta("second").as_object().unwrap().clone());
    call_with(&mut client, &steps, repeat).await;
    let tokens = client.received.lines().filter(|line| line.contains("notifications/progress"));
    let tokens: Vec<Value> = tokens.map(|line| serde_json::from_str(line).unwrap()).collect();
    let tokens: Vec<&Value> = tokens.iter().map(|progress| &progress["params"]["progressToken"]).collect();
    assert_eq!(tokens, ["first", "second"]);
    client.close().await.unwrap();
}

#[tokio::test]
async fn interrupted_call_without_response_is_interrupted_again() {
    let mut client = open_across(ProtocolEra::Modern, all_capabilities()).await;
    let steps = json!([{"request": ["roots/list", {}]}]);
    let first = call_with(&mut client, &steps, json!({})).await;
    let without = json!({"requestState": first["requestState"], "inputResponses": {"unknown": 7}});
    let second = call_with(&mut client, &steps, without).await;
    assert_eq!(only_request(&second), only_request(&first));
    let last = call_with(&mut client, &steps, repeated(&second, &json!({"roots": []}))).await;
    assert_eq!(last["structuredContent"]["responses"][0]["result"], json!({"roots": []}), "{last}");
    client.close().await.unwrap();
}

#[tokio::test]
async fn request_state_is_valid_once_and_for_its_call() {
    let mut client = open_across(ProtocolEra::Modern, all_capabilities()).await;
    let steps = json!([{"request": ["roots/list", {}]}]);
    let first = call_with(&mut client, &steps, json!({})).await;
    let repeat = repeated(&first, &json!({}));
    let call = |name: &str, steps: &Value, other: &Value| {
        let mut params = json!({"name": name, "arguments": {"steps": steps}});
        params.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        params
    };
    let capabilities = json!({"_meta": {"io.modelcontextprotocol/clientCapabilities": {"roots": {}}}});
    let mut other_client = repeat.clone();
    other_client.as_object_mut().unwrap().extend(capabilities.as_object().unwrap().clone());
    let guessed = json!({"requestState": "valetkey-input-0123456789abcdef"});
    for (method, params) in [
        ("tools/call", call("scripted__run", &json!([]), &repeat)),
        ("tools/call", call("scripted__other", &steps, &repeat)),
        ("prompts/get", call("scripted__run", &steps, &repeat)),
        ("tools/call", call("scripted__run", &steps, &other_client)),
        ("tools/call", call("scripted__run", &steps, &guessed)),
    ] {
        let refused = client.request(method, params.clone()).await;
        assert_eq!(refused["error"]["code"], -32602, "{method} {params} {refused}");
    }
    let last = call_with(&mut client, &steps, repeat.clone()).await;
    assert_eq!(last["resultType"], "complete", "{last}");
    let replayed = client.request("tools/call", call("scripted__run", &steps, &repeat)).await;
    assert_eq!(replayed["error"]["code"], -32602, "{replayed}");
    client.close().await.unwrap();
}
