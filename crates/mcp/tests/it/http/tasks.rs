//! Tasks of servers: each belongs to the session in which its call was made.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, BOB, HttpGatewayFixture, tokens};
use crate::host_fixture::scripted_server;
use crate::keys::{assert_no_secret_part, secret_of_key};

const METHODS: [&str; 3] = ["tasks/get", "tasks/update", "tasks/cancel"];
const EXTENSION: &str = "io.modelcontextprotocol/tasks";

fn task_server(delivery: Delivery) -> ServerConfig {
    let mut server = scripted_server("both", delivery);
    server.args.push("tasks".to_owned());
    server
}

async fn start(servers: Vec<(&'static str, ServerConfig)>) -> HttpGatewayFixture {
    HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway).await
}

fn modern(gateway: &HttpGatewayFixture, token: &str) -> HttpClientFixture {
    let mut client = gateway.modern(token);
    client.capabilities = json!({"extensions": {EXTENSION: {}}});
    client
}

/// Returns a client with a credential session in its header.
async fn with_session(gateway: &HttpGatewayFixture, token: &str) -> HttpClientFixture {
    let mut client = modern(gateway, token);
    client.handle = Some(client.create_session().await);
    client
}

/// Makes a call that becomes a task with this id.
async fn start_task(client: &mut HttpClientFixture, server: &str, id: &str) -> Value {
    let task = json!({"resultType": "task", "taskId": id, "status": "working", "x-task": [1.50]});
    let arguments = json!({"steps": [{"result": task}]});
    client.call(&format!("{server}__run"), arguments).await
}

async fn follow(client: &mut HttpClientFixture, method: &str, id: &str) -> Value {
    let params = json!({"taskId": id, "inputResponses": {"a": {"action": "accept"}}, "x-follow": 1});
    client.request(method, params).await.json()
}

#[tokio::test]
async fn task_is_followed_on_its_server_and_masked() {
    let gateway = start(vec![("one", task_server(Delivery::Env)), ("two", task_server(Delivery::Env))]).await;
    let mut alice = with_session(&gateway, ALICE).await;
    alice.set("AAAA").await;
    let started = start_task(&mut alice, "two", "task-1").await;
    assert_eq!(
        (&started["resultType"], &started["taskId"], &started["x-task"]),
        (&json!("task"), &json!("task-1"), &json!([1.50]))
    );
    let own = alice.call_ok("two__run", json!({})).await;
    assert!(own["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]["extensions"].is_object());
    for method in METHODS {
        let reply = follow(&mut alice, method, "task-1").await;
        let result = &reply["result"];
        assert_eq!((&result["pid"], &result["method"]), (&own["pid"], &json!(method)), "{reply}");
        assert_eq!((&result["params"]["x-follow"], &result["resultType"]), (&json!(1), &json!("complete")));
        assert_eq!(result["params"]["inputResponses"]["a"]["action"], "accept");
        assert_eq!(result["result"]["content"][0]["text"], "[redacted]");
        assert_no_secret_part(&reply.to_string(), &secret_of_key("AAAA"));
    }
    alice.call("clear_credential_context", json!({})).await;
    let refused = follow(&mut alice, "tasks/get", "task-1").await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("credentials"), "{refused}");
    gateway.stop().await;
}

#[tokio::test]
async fn task_of_another_session_is_unknown() {
    let gateway = start(vec![("one", task_server(Delivery::None))]).await;
    let mut alice = with_session(&gateway, ALICE).await;
    start_task(&mut alice, "one", "task-1").await;
    let mut others = [with_session(&gateway, BOB).await, with_session(&gateway, ALICE).await];
    for other in &mut others {
        other.call("one__run", json!({})).await;
    }
    let mut guessing = modern(&gateway, BOB);
    guessing.handle.clone_from(&alice.handle);
    let without_session = modern(&gateway, BOB);
    for mut other in others.into_iter().chain([guessing, without_session]) {
        for (method, id) in METHODS.into_iter().flat_map(|method| [(method, "task-1"), (method, "none")]) {
            let refused = follow(&mut other, method, id).await;
            assert_eq!(refused["error"], json!({"code": -32602, "message": "unknown task"}), "{method} {id}");
        }
    }
    assert_eq!(follow(&mut alice, "tasks/get", "task-1").await["result"]["taskId"], "task-1");
    gateway.stop().await;
}

#[tokio::test]
async fn task_is_found_without_naming_its_session() {
    let gateway = start(vec![("one", task_server(Delivery::None))]).await;
    let (mut alice, mut bob) = (modern(&gateway, ALICE), modern(&gateway, BOB));
    let handle = alice.create_session().await;
    let task = json!({"resultType": "task", "taskId": "task-1", "status": "working"});
    let steps = json!({"steps": [{"result": task}], "credential_session": handle});
    assert_eq!(alice.call("one__run", steps).await["taskId"], "task-1");
    assert_eq!(follow(&mut alice, "tasks/get", "task-1").await["result"]["status"], "completed");
    assert_eq!(start_task(&mut bob, "one", "task-2").await["taskId"], "task-2", "it needs no session");
    assert_eq!(follow(&mut bob, "tasks/get", "task-2").await["result"]["status"], "completed");
    assert_eq!(follow(&mut bob, "tasks/get", "task-1").await["error"]["code"], -32602);
    gateway.stop().await;
}

#[tokio::test]
async fn task_of_another_server_is_not_taken_over() {
    let gateway =
        start(vec![("one", task_server(Delivery::None)), ("two", task_server(Delivery::None))]).await;
    let mut alice = with_session(&gateway, ALICE).await;
    start_task(&mut alice, "one", "task-1").await;
    let refused = start_task(&mut alice, "two", "task-1").await;
    assert_eq!(refused["isError"], true, "{refused}");
    let owner = alice.call_ok("one__run", json!({})).await["pid"].take();
    assert_eq!(follow(&mut alice, "tasks/get", "task-1").await["result"]["pid"], owner);
    gateway.stop().await;
}

#[tokio::test]
async fn tasks_are_advertised_if_a_server_has_them() {
    for (server, has_tasks) in
        [(task_server(Delivery::None), true), (scripted_server("both", Delivery::None), false)]
    {
        let gateway = start(vec![("one", server)]).await;
        let mut client = modern(&gateway, ALICE);
        client.request("tools/list", json!({})).await;
        let discovered = client.request("server/discover", json!({})).await.json();
        let extensions = &discovered["result"]["capabilities"]["extensions"];
        assert_eq!(extensions.get(EXTENSION).is_some(), has_tasks, "{discovered}");
        let code = if has_tasks { -32602 } else { -32601 };
        assert_eq!(follow(&mut client, "tasks/get", "none").await["error"]["code"], code);
        client.capabilities = json!({});
        let code = if has_tasks { -32021 } else { -32601 };
        assert_eq!(follow(&mut client, "tasks/get", "none").await["error"]["code"], code, "not declared");
        let mut legacy = gateway.legacy(ALICE).await;
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let refused = follow(&mut legacy, method, "none").await;
            assert_eq!(refused["error"], json!({"code": -32602, "message": "unknown task"}), "{method}");
        }
        for method in ["tasks/update", "tasks/list"] {
            assert_eq!(follow(&mut legacy, method, "none").await["error"]["code"], -32601, "{method}");
        }
        gateway.stop().await;
    }
}

/// Makes a call of a legacy client as a task.
async fn call_as_task(client: &mut HttpClientFixture, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments, "task": {"ttl": 1}});
    client.request("tools/call", params).await.json()
}

fn legacy_task(id: &str) -> Value {
    json!({"steps": [{"result": {"task": {"taskId": id, "status": "working", "x-task": [1.50]}}}]})
}

#[tokio::test]
async fn legacy_task_is_followed_on_its_server_and_masked() {
    let gateway = start(vec![("one", task_server(Delivery::Env)), ("two", task_server(Delivery::Env))]).await;
    let mut alice = gateway.legacy(ALICE).await;
    alice.set("AAAA").await;
    let started = call_as_task(&mut alice, "two__run", legacy_task("task-1")).await;
    let result = &started["result"];
    assert_eq!((&result["task"]["taskId"], &result["task"]["x-task"]), (&json!("task-1"), &json!([1.50])));
    assert!(result.get("content").is_none() && result.get("isError").is_none(), "{started}");
    assert_eq!(result["_meta"]["valetkey/receipt"]["account"], "default", "{started}");
    let own = call_as_task(&mut alice, "two__run", json!({})).await["result"]["structuredContent"].take();
    assert_eq!(own["params"]["task"], json!({"ttl": 1}));
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let reply = follow(&mut alice, method, "task-1").await;
        let result = &reply["result"];
        assert_eq!((&result["pid"], &result["method"]), (&own["pid"], &json!(method)), "{reply}");
        assert_eq!(result["result"]["content"][0]["text"], "[redacted]");
        assert!(result.get("resultType").is_none(), "{reply}");
        assert_eq!(result.get("_meta").is_some(), method == "tasks/result", "{reply}");
        assert_no_secret_part(&reply.to_string(), &secret_of_key("AAAA"));
    }
    let mut bob = gateway.legacy(BOB).await;
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        assert_eq!(follow(&mut bob, method, "task-1").await["error"]["message"], "unknown task");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn legacy_task_in_a_named_session_is_followed() {
    let gateway = start(vec![("one", task_server(Delivery::None))]).await;
    let mut alice = gateway.legacy(ALICE).await;
    let handle = alice.create_session().await;
    let mut arguments = legacy_task("task-1");
    call_as_task(&mut alice, "one__run", arguments.clone()).await;
    arguments["credential_session"] = json!(handle);
    call_as_task(&mut alice, "one__run", arguments.clone()).await;
    arguments["steps"][0]["result"]["task"]["taskId"] = json!("task-2");
    call_as_task(&mut alice, "one__run", arguments).await;
    let named = alice.call_ok("one__run", json!({"credential_session": handle})).await["pid"].take();
    let own = alice.call_ok("one__run", json!({})).await["pid"].take();
    assert_ne!(named, own);
    assert_eq!(follow(&mut alice, "tasks/get", "task-2").await["result"]["pid"], named);
    assert_eq!(follow(&mut alice, "tasks/get", "task-1").await["result"]["pid"], own, "both have one");
    gateway.stop().await;
}

#[tokio::test]
async fn call_as_task_of_tool_without_tasks_is_refused() {
    let gateway = start(vec![("one", scripted_server("both", Delivery::None))]).await;
    let mut alice = gateway.legacy(ALICE).await;
    for tool in ["one__run", "create_credential_session"] {
        let refused = call_as_task(&mut alice, tool, json!({})).await;
        assert_eq!(refused["error"]["code"], -32601, "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("without `task`"), "{refused}");
    }
    gateway.stop().await;
}
