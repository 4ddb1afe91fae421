//! Messages of servers to clients over HTTP: on the response to a call, and on the stream of a session.

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, BOB, HttpGatewayFixture, tokens};
use crate::host_fixture::scripted_server;

async fn start() -> HttpGatewayFixture {
    let server = scripted_server("both", Delivery::None);
    HttpGatewayFixture::start_with(vec![("scripted", server)], tokens(), |gateway| gateway).await
}

async fn legacy(gateway: &HttpGatewayFixture, token: &str, capabilities: Value) -> HttpClientFixture {
    let mut client = gateway.modern(token);
    client.capabilities = capabilities;
    client.initialize().await;
    client
}

fn run(client: &mut HttpClientFixture, steps: &Value, meta: &Value) -> Value {
    let params = json!({"name": "scripted__run", "arguments": {"steps": steps}, "_meta": meta});
    client.message("tools/call", params)
}

/// Runs the steps, and returns what the server has seen.
async fn run_to_end(client: &mut HttpClientFixture, steps: &Value) -> Value {
    let message = run(client, steps, &json!({}));
    let mut result = client.post(&message).await.json();
    assert!(result["result"].is_object(), "{result}");
    result["result"]["structuredContent"].take()
}

/// The messages of an event stream.
pub(crate) struct Events {
    stream: Response<Incoming>,
    text: String,
}

impl Events {
    pub(crate) async fn open(client: &HttpClientFixture, message: &Value) -> Self {
        Self { stream: client.open(client.request_for(message)).await, text: String::new() }
    }

    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let message = data.map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                match message {
                    Some(message) => return Some(message),
                    None => continue,
                }
            }
            let frame = self.stream.body_mut().frame().await?.ok()?;
            self.text += std::str::from_utf8(&frame.into_data().ok()?).unwrap();
        }
    }
}

pub(crate) fn response_to(request: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": request["id"], "result": {"action": "accept", "x": [1]}})
}

fn elicitation() -> Value {
    json!([{"request": ["elicitation/create", {"message": "?", "requestedSchema": {}}]}])
}

#[tokio::test]
async fn http_progress_and_logs_precede_result_of_their_call() {
    let gateway = start().await;
    let log = |level: &str| json!({"notify": ["notifications/message", {"level": level, "data": 1}]});
    let steps = json!([{"progress": 1}, log("info"), log("error"), {"progress": 2}]);
    let meta = json!({"progressToken": 7, "io.modelcontextprotocol/logLevel": "error"});
    let mut legacy = legacy(&gateway, ALICE, json!({})).await;
    assert_eq!(
        legacy.request("logging/setLevel", json!({"level": "error"})).await.json()["result"],
        json!({})
    );
    let mut modern = gateway.modern(ALICE);
    modern.handle = Some(modern.create_session().await);
    for client in [&mut legacy, &mut modern] {
        let message = run(client, &steps, &meta);
        let mut events = Events::open(client, &message).await;
        for expected in [
            json!({"progressToken": 7, "progress": 1, "x-progress": "kept"}),
            json!({"level": "error", "data": 1}),
            json!({"progressToken": 7, "progress": 2, "x-progress": "kept"}),
        ] {
            assert_eq!(events.next().await.unwrap()["params"], expected);
        }
        assert_eq!(events.next().await.unwrap()["id"], message["id"]);
        assert_eq!(events.next().await, None);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn http_server_request_is_answered_by_another_post() {
    let gateway = start().await;
    let mut client = legacy(&gateway, ALICE, json!({"elicitation": {}})).await;
    let call = run(&mut client, &elicitation(), &json!({}));
    let mut events = Events::open(&client, &call).await;
    let request = events.next().await.unwrap();
    assert_eq!(request["params"]["message"], "?");
    let other = legacy(&gateway, BOB, json!({"elicitation": {}})).await;
    assert_eq!(other.post(&response_to(&request)).await.status, 202, "it belongs to nothing");
    let mut stolen = other.clone();
    stolen.session_id.clone_from(&client.session_id);
    assert_eq!(stolen.post(&response_to(&request)).await.error(), (404, -32001));
    let response = response_to(&request);
    assert_eq!(client.post(&response).await.status, 202);
    let result = events.next().await.unwrap();
    assert_eq!(result["id"], call["id"]);
    let seen = &result["result"]["structuredContent"];
    assert_eq!(seen["responses"][0]["result"], response["result"], "{seen}");
    assert_eq!(client.post(&response).await.status, 202, "a late response is ignored");
    gateway.stop().await;
}

#[tokio::test]
async fn http_client_that_leaves_fails_request_of_server() {
    let gateway = start().await;
    let mut client = legacy(&gateway, ALICE, json!({"elicitation": {}})).await;
    let call = run(&mut client, &elicitation(), &json!({}));
    let mut events = Events::open(&client, &call).await;
    assert!(events.next().await.is_some());
    drop(events);
    // The server reads this call only after it has got a response to its request.
    assert_eq!(run_to_end(&mut client, &json!([])).await["responses"], json!([]));
    gateway.stop().await;
}

#[tokio::test]
async fn http_clients_with_other_capabilities_share_no_process() {
    let gateway = start().await;
    let mut modern = gateway.modern(ALICE);
    let handle = modern.create_session().await;
    let mut pids = Vec::new();
    for capabilities in [json!({}), json!({"sampling": {}}), json!({"roots": {}}), json!({"sampling": {}})] {
        let mut client = legacy(&gateway, ALICE, capabilities.clone()).await;
        client.handle = Some(handle.clone());
        let seen = run_to_end(&mut client, &json!([])).await;
        assert_eq!(seen["capabilities"], capabilities);
        pids.push(seen["pid"].clone());
    }
    assert_eq!(pids[1], pids[3]);
    assert!(pids[0] != pids[1] && pids[1] != pids[2] && pids[0] != pids[2], "{pids:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn http_client_that_does_not_read_holds_up_no_other() {
    let gateway = start().await;
    let mut modern = gateway.modern(ALICE);
    let handle = modern.create_session().await;
    let mut slow = legacy(&gateway, ALICE, json!({})).await;
    let mut other = legacy(&gateway, ALICE, json!({})).await;
    slow.handle = Some(handle.clone());
    other.handle = Some(handle);
    let flood = json!({"notify": ["notifications/message", {"level": "info", "data": "x".repeat(60_000)}]});
    let call = run(&mut slow, &json!(vec![flood; 40]), &json!({}));
    let unread = Events::open(&slow, &call).await;
    // One process serves both.
    assert_eq!(run_to_end(&mut other, &json!([])).await["responses"], json!([]));
    drop(unread);
    gateway.stop().await;
}
