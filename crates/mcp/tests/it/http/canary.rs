//! Canaries over HTTP, at TRACE: no response, no event stream and no log line contains a secret of the session.

use http_body_util::BodyExt;
use serde_json::{Value, json};
use valetkey_core::testing::Canary;
use valetkey_mcp::child::Delivery;

use super::client_fixture::{HttpClientFixture, with_header};
use super::fixture::{ALICE, BOB, HttpGatewayFixture, tokens};
use super::server_messages::{Events, response_to};
use crate::canary::captured_logs;
use crate::host_fixture::{content_server, fixture_server, raw_server, scripted_server};
use crate::keys::assert_masks_are_whole;

async fn start() -> HttpGatewayFixture {
    let servers = vec![
        ("blurting", raw_server("blurting")),
        ("content", content_server("legacy", "content")),
        ("fixture", fixture_server(Delivery::Env)),
        ("older", scripted_server("legacy", Delivery::Env)),
        ("raw", raw_server("secretive")),
        ("scripted", scripted_server("both", Delivery::Env)),
    ];
    HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway).await
}

/// A client that records everything it receives.
struct RecordingClient {
    client: HttpClientFixture,
    received: String,
}

impl RecordingClient {
    async fn legacy(gateway: &HttpGatewayFixture, token: &str) -> Self {
        let mut client = gateway.modern(token);
        client.capabilities = json!({"sampling": {}, "elicitation": {}, "roots": {}});
        client.initialize().await;
        Self { client, received: String::new() }
    }

    async fn modern(gateway: &HttpGatewayFixture, token: &str) -> Self {
        let mut client = gateway.modern(token);
        client.capabilities = json!({"sampling": {}, "elicitation": {}, "roots": {}});
        client.handle = Some(client.create_session().await);
        Self { client, received: String::new() }
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let reply = self.client.request(method, params).await;
        self.received += &reply.body;
        self.received += &format!("{:?}\n", reply.headers);
        reply.json()
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Lets a server put `text` into every kind of message, and responds to its requests. `SECRET` stands for the
    /// server's secret access key.
    async fn take_server_messages(&mut self, text: &str) {
        let value = json!({"message": text, text: [text]});
        let mut steps = vec![
            json!({"notify": ["notifications/message", {"level": "error", "data": value}]}),
            json!({"notify": [format!("notifications/{text}"), value]}),
            json!({"progress": text}),
        ];
        for method in ["elicitation/create", "sampling/createMessage", "roots/list", text] {
            steps.push(json!({"request": [method, value]}));
        }
        for end in ["error", "result"] {
            let mut steps = steps.clone();
            let content = json!({"code": -1, "message": text, "data": value, "content": [value]});
            steps.push(json!({end: content}));
            let meta = json!({"progressToken": "p", "io.modelcontextprotocol/logLevel": "debug"});
            let params = json!({"name": "scripted__run", "arguments": {"steps": steps}, "_meta": meta});
            let message = self.client.message("tools/call", params);
            let mut events = Events::open(&self.client, &message).await;
            while let Some(event) = events.next().await {
                self.received += &format!("{event}\n");
                if event.get("method").is_some() && event.get("id").is_some() {
                    self.client.post(&response_to(&event)).await;
                }
            }
        }
    }

    /// Lets a legacy server put `text` into requests during a call, and repeats the call of this modern client.
    async fn give_required_input(&mut self, text: &str) {
        let value = json!({"message": text, text: [text]});
        let methods = ["elicitation/create", "sampling/createMessage", "roots/list", text];
        let steps = json!(methods.map(|method| json!({"request": [method, value]})));
        let mut params = json!({"name": "older__run", "arguments": {"steps": steps}});
        loop {
            let mut result = self.request("tools/call", params.clone()).await["result"].take();
            let Some(requests) = result["inputRequests"].as_object() else { return };
            let responses = requests.keys().map(|name| (name.clone(), json!({"action": "accept"})));
            params["inputResponses"] = responses.collect::<serde_json::Map<_, _>>().into();
            params["requestState"] = result["requestState"].take();
        }
    }

    /// Makes requests of every kind.
    async fn request_everything(&mut self, canary: &Canary) {
        let keys = canary.to_json();
        let text = keys.to_string();
        for given in [json!(text[..text.len() - 1]), json!([keys]), keys.clone()] {
            self.call("set_aws_credentials_context", json!({"credentials_json": given})).await;
        }
        for list in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
            self.request(list, json!({})).await;
        }
        self.request("resources/read", json!({"uri": "content:static"})).await;
        self.request("resources/read", json!({"uri": canary.expose_secret()})).await;
        self.request("prompts/get", json!({"name": "content__greet0"})).await;
        self.request("prompts/get", json!({"name": "content__last"})).await;
        self.request("tools/call", json!({"name": "get_aws_credentials_context", "arguments": text})).await;
        for tool in ["get_aws_credentials_context", "fixture__leak", "raw__tool", "blurting__tool"] {
            self.call(tool, json!({})).await;
            // A key id is no secret, and a server may return it.
            self.call(tool, json!({"text": canary.expose_secret()})).await;
        }
        for tool in ["fixture__crash", "fixture__crash", "fixture__leak"] {
            self.call(tool, json!({})).await;
        }
        self.take_server_messages("SECRET").await;
    }
}

#[tokio::test]
async fn http_canary_secret_is_in_no_output_and_no_log() {
    let logs = captured_logs();
    let gateway = start().await;
    for is_legacy in [true, false] {
        let mut client = match is_legacy {
            true => RecordingClient::legacy(&gateway, ALICE).await,
            false => RecordingClient::modern(&gateway, ALICE).await,
        };
        let canary = Canary::new();
        let stream = match is_legacy {
            true => {
                let request = client.client.request_with("GET", "");
                Some(client.client.open(with_header(request, "accept", "text/event-stream")).await)
            }
            false => None,
        };
        client.request_everything(&canary).await;
        if !is_legacy {
            client.give_required_input("SECRET").await;
        }
        if let Some(stream) = stream {
            client.client.send(client.client.request_with("DELETE", "")).await;
            let events = stream.into_body().collect().await.unwrap().to_bytes();
            client.received += &String::from_utf8_lossy(&events);
        }
        let received = &client.received;
        for part in ["notifications/progress", "notifications/message", "valetkey/receipt", "[redacted]"] {
            assert!(received.contains(part), "{part}: {received}");
        }
        for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
            assert!(received.contains(method), "{method}: {received}");
        }
        assert_eq!(received.contains("\"input_required\""), !is_legacy);
        assert_masks_are_whole(received);
        assert_eq!(canary.found_in(received), [""; 0], "{received}");
        assert_eq!(canary.found_in(&logs.text()), [""; 0]);
    }
    gateway.stop().await;
}

/// The control of the test above: a text that is no secret of the session arrives unmasked on the same paths.
#[tokio::test]
async fn http_canary_of_no_session_is_found_in_output() {
    captured_logs();
    let gateway = start().await;
    let mut client = RecordingClient::legacy(&gateway, BOB).await;
    client.client.set("BBBB").await;
    let canary = Canary::new();
    client.take_server_messages(canary.expose_secret()).await;
    let mut modern = RecordingClient::modern(&gateway, BOB).await;
    modern.client.set("BBBB").await;
    modern.give_required_input(canary.expose_secret()).await;
    client.received += &modern.received;
    let lines: Vec<&str> = client.received.lines().collect();
    for part in [
        "notifications/progress",
        "notifications/message",
        "elicitation/create",
        "input_required",
        "\"result\"",
        "\"error\"",
    ] {
        let mut with_part = lines.iter().filter(|line| line.contains(part));
        assert!(with_part.any(|line| !canary.found_in(line).is_empty()), "{part}: {lines:#?}");
    }
    gateway.stop().await;
}
