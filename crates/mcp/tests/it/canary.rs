//! Canaries: a session's secrets reach its servers, and no output, log line, audit record, argument or file, at
//! TRACE.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use valetkey_core::audit::JsonLines;
use valetkey_core::testing::{Canary, CapturedLogs};
use valetkey_core::{Expiry, SessionContext};
use valetkey_mcp::RMCP_LOG_DIRECTIVE;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use crate::gateway::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra};
use crate::host_fixture::{fixture_server, pid, raw_server, scripted_server};
use crate::keys::assert_masks_are_whole;

/// Captures the logs of this test binary at TRACE, capped as the crate recommends.
pub(crate) fn captured_logs() -> &'static CapturedLogs {
    static LOGS: LazyLock<CapturedLogs> = LazyLock::new(|| {
        let logs = CapturedLogs::default();
        let filter = EnvFilter::new(format!("trace,{RMCP_LOG_DIRECTIVE}"));
        let builder = tracing_subscriber::fmt().with_ansi(false).with_env_filter(filter);
        tracing::subscriber::set_global_default(builder.with_writer(logs.clone()).finish()).unwrap();
        logs
    });
    &LOGS
}

fn servers(delivery: Delivery) -> [(&'static str, ServerConfig); 5] {
    [
        ("fixture", fixture_server(delivery)),
        ("raw", raw_server("secretive")),
        ("blurting", raw_server("blurting")),
        ("pages", raw_server("pages")),
        ("scripted", scripted_server("both", Delivery::Env)),
    ]
}

struct GatewayCanaryFixture {
    canary: Canary,
    client: GatewayClientFixture,
    audit: CapturedLogs,
}

impl GatewayCanaryFixture {
    async fn new(era: ProtocolEra, delivery: Delivery) -> Self {
        let audit = CapturedLogs::default();
        let session = SessionContext::builder().audit(Arc::new(JsonLines::new(audit.clone()))).build();
        let capabilities = json!({"sampling": {}, "elicitation": {}, "roots": {}});
        Self {
            canary: Canary::new(),
            client: GatewayClientFixture::serve_with(era, session, capabilities, servers(delivery)).await,
            audit,
        }
    }

    /// Calls all tools of a session; the client records all messages.
    async fn call_all_tools(&mut self) {
        let given = self.canary.to_json();
        let text = given.to_string();
        for credentials in [json!(text[..text.len() - 1]), json!([given]), given.clone(), json!(text)] {
            self.client.call("set_aws_credentials_context", json!({"credentials_json": credentials})).await;
        }
        self.client.list_tools().await;
        self.client.send_line(&text[..text.len() - 2]).await;
        self.client.send_line(&text).await;
        let bad = json!({"name": "get_aws_credentials_context", "arguments": text});
        self.client.request("tools/call", bad).await;
        self.client.request("tools/call", json!({"name": self.canary.expose_secret()})).await;
        self.client.request(self.canary.expose_secret(), given.clone()).await;
        self.call_narrowed(&given).await;
        for tool in
            ["get_aws_credentials_context", "fixture__leak", "raw__tool", "blurting__tool", "fixture__crash"]
        {
            self.client.request("tools/call", json!({"name": tool, "arguments": {}})).await;
        }
        self.client.call("fixture__crash", json!({})).await;
        self.take_server_messages().await;
    }

    /// Lets a server put its secret access key into every kind of message to the client.
    async fn take_server_messages(&mut self) {
        let secret = json!({"message": "SECRET", "SECRET": ["SECRET"]});
        let mut steps = vec![
            json!({"notify": ["notifications/message", {"level": "error", "data": secret}]}),
            json!({"notify": ["notifications/SECRET", secret]}),
            json!({"progress": "SECRET"}),
        ];
        for method in ["elicitation/create", "sampling/createMessage", "roots/list", "SECRET"] {
            steps.push(json!({"request": [method, secret]}));
        }
        for end in ["error", "result"] {
            let mut steps = steps.clone();
            steps.push(json!({end: {"code": -1, "message": "SECRET", "data": secret, "content": [secret]}}));
            let meta = json!({"progressToken": "p", "io.modelcontextprotocol/logLevel": "debug"});
            let mut params = json!({"name": "scripted__run", "arguments": {"steps": steps}, "_meta": meta});
            loop {
                let id = self.client.send_request("tools/call", params.clone()).await;
                let mut result = self.client.respond_until(&id).await["result"].take();
                // A modern client repeats its call with the input that the server requires.
                let Some(requests) = result["inputRequests"].as_object() else { break };
                let responses = requests.keys().map(|name| (name.clone(), json!({"action": "accept"})));
                params["inputResponses"] = responses.collect::<serde_json::Map<_, _>>().into();
                params["requestState"] = result["requestState"].take();
            }
        }
    }

    /// Makes the calls of a sub-agent, which run in processes of their own.
    async fn call_narrowed(&mut self, given: &Value) {
        let secret = self.canary.expose_secret().to_owned();
        for input in [json!({"policy": given}), json!({"policy_name": secret}), json!({"accounts": [secret]})]
        {
            self.client.call("narrow_aws_credentials", input).await;
        }
        let narrowed = self.client.call("narrow_aws_credentials", json!({})).await;
        let handle = narrowed["structuredContent"]["credential_session"].clone();
        assert!(handle.is_string(), "{narrowed}");
        for named in [&handle, &json!(secret), given] {
            for tool in ["fixture__leak", "raw__tool", "blurting__tool", "get_aws_credentials_context"] {
                let arguments = json!({"credential_session": named});
                self.client.request("tools/call", json!({"name": tool, "arguments": arguments})).await;
            }
        }
    }

    /// Asserts that the secret reached its intended place: the server's environment, or the endpoint's response.
    async fn assert_delivered(&mut self, delivery: Delivery) -> u32 {
        let answer = self.client.call("fixture__whoami", json!({})).await["structuredContent"].take();
        let key = answer["key"].as_str().unwrap().to_owned();
        assert!(self.canary.to_json()["access_key_id"].as_str().unwrap().ends_with(&key));
        let environment = fs::read_to_string(format!("/proc/{}/environ", pid(&answer))).unwrap();
        assert_eq!(self.canary.found_in(&environment).len(), if delivery == Delivery::Env { 3 } else { 0 });
        pid(&answer)
    }
}

#[tokio::test]
async fn canary_secret_is_in_no_output_log_record_or_argument() {
    let logs = captured_logs();
    for era in ERAS {
        for delivery in [Delivery::Endpoint, Delivery::Env] {
            let mut fixture = GatewayCanaryFixture::new(era, delivery).await;
            fixture.call_all_tools().await;
            let received = &fixture.client.received;
            for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
                assert!(received.contains(method), "{era:?} {method}");
            }
            assert!(
                received.contains("notifications/progress") && received.contains("notifications/message")
            );
            let mut output = String::new();
            let pids: Vec<u32> = crate::process::running_children();
            for pid in &pids {
                output += &fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            }
            assert!(!pids.is_empty());
            write!(output, "{:?} {:?}", fixture.client.session, fixture.client.session.status()).unwrap();
            output += &fixture.client.received;
            output += &fixture.audit.text();
            assert!(output.contains("\"serve\""), "{era:?} {delivery:?}");
            assert_masks_are_whole(&output);
            assert_eq!(fixture.canary.found_in(&output), [""; 0], "{era:?} {delivery:?}\n{output}");
            assert_eq!(fixture.canary.found_in(&logs.text()), [""; 0], "{era:?} {delivery:?}");
            fixture.client.close().await.unwrap();
        }
    }
    assert!(logs.text().contains("server started"), "the capture works");
}

#[tokio::test]
async fn canary_secret_reaches_server_and_no_session_file() {
    captured_logs();
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let mut fixture = GatewayCanaryFixture::new(ProtocolEra::Modern, delivery).await;
        let credentials = fixture.canary.credentials(Expiry::Never).unwrap();
        fixture.client.session.set_credentials(credentials).unwrap();
        fixture.assert_delivered(delivery).await;
        let answer: Value = fixture.client.call("fixture__whoami", json!({})).await;
        let home =
            Path::new(answer["structuredContent"]["home"].as_str().unwrap()).parent().unwrap().to_owned();
        let mut written = String::new();
        read_tree(&home, &mut written);
        assert!(written.contains("[default]"), "{written}");
        assert_eq!(fixture.canary.found_in(&written), [""; 0]);
        fixture.client.close().await.unwrap();
        assert!(!home.exists());
    }
}

fn read_tree(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => read_tree(&path, into),
            path => *into += &fs::read_to_string(path).unwrap_or_default(),
        }
    }
}
