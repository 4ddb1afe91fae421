//! The metrics, read by the parser of the official Prometheus client.

use serde_json::{Value, json};
use valetkey_rig::{Script, Venv};

use super::python_script;
use crate::ops::{body, get, until_ready};
use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};

const ALICE: Option<&str> = Some("token-of-alice");

/// Returns the metrics of a gateway by the names of their families.
async fn read_metrics(gateway: &HttpGatewayFixture, fixture: &ProgramFixture) -> Value {
    let reply = get(gateway, "/metrics", "").await;
    let content_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(reply.lines().any(|line| line == content_type), "{reply}");
    let path = fixture.path("metrics.txt");
    std::fs::write(&path, body(&reply)).unwrap();
    let parsed = Script::python_in(Venv::Metrics, python_script("metrics.py")).arg(path).run().await.unwrap();
    serde_json::from_str(&parsed).unwrap()
}

/// Returns the value of the sample with this name and these labels.
fn sample(metrics: &Value, family: &str, name: &str, labels: &Value) -> f64 {
    let samples = metrics[family]["samples"].as_array().unwrap_or_else(|| panic!("no {family}: {metrics}"));
    let found = samples.iter().find(|sample| sample[0] == name && sample[1] == *labels);
    found.unwrap_or_else(|| panic!("no {name} {labels}: {samples:?}"))[2].as_f64().unwrap()
}

#[tokio::test]
async fn metrics_are_read_by_parser_of_prometheus_client() {
    let fixture = ProgramFixture::new().file("valetkey.toml", PRINCIPALS);
    let gateway = HttpGatewayFixture::start(&fixture, &["--ops", "127.0.0.1:0"]).await;
    until_ready(&gateway).await;
    let before = read_metrics(&gateway, &fixture).await;
    let families = ["build", "ready", "store_reached", "sessions", "server_processes", "start_time_seconds"];
    for family in families.map(|name| format!("valetkey_{name}")) {
        assert!(before[&family]["help"].as_str().is_some_and(|help| !help.is_empty()), "{family}: {before}");
    }
    assert_eq!(sample(&before, "valetkey_sessions", "valetkey_sessions", &json!({})), 0.0);
    assert_eq!(sample(&before, "valetkey_ready", "valetkey_ready", &json!({})), 1.0);

    let (_, created) = gateway.call(ALICE, "create_credential_session", json!({"label": "of alice"})).await;
    let mut arguments = created["result"]["structuredContent"].clone();
    let handle = arguments["credential_session"].as_str().unwrap().to_owned();
    arguments["credentials_json"] =
        json!({"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "made-up"});
    gateway.call(ALICE, "set_aws_credentials_context", arguments).await;
    let after = read_metrics(&gateway, &fixture).await;
    assert_eq!(sample(&after, "valetkey_sessions", "valetkey_sessions", &json!({})), 1.0);
    let events = "valetkey_credential_events";
    assert_eq!(after[events]["type"], "counter");
    let set = json!({"event": "set", "failure": ""});
    assert_eq!(sample(&after, events, "valetkey_credential_events_total", &set), 1.0);
    let duration = &after["valetkey_aws_request_duration_seconds"];
    assert_eq!((&duration["type"], &duration["unit"]), (&json!("histogram"), &json!("seconds")));
    // The number of sessions, principals and accounts is not bounded, so no label has one.
    for text in [handle.as_str(), "alice", "dev"] {
        assert!(!after.to_string().contains(text), "{text}: {after}");
    }
    gateway.stop().await;
}
