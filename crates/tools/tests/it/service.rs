//! The service context is stored and returned unchanged.

use serde_json::{Value, json};

use crate::fixture::*;

#[tokio::test]
async fn service_context_round_trips_unchanged() {
    let facts =
        json!({"service_id": "svc-1", "nested": {"list": [1, 2.5, null, "ü€𐍈"]}, "region": "us-west-2"});
    for input in
        [facts.clone(), json!({"service_info_json": facts}), json!({"service_info_json": facts.to_string()})]
    {
        let fixture = ToolsFixture::new();
        let output = fixture.call(SET_SERVICE, input).await;
        assert_eq!(output.text, "Successfully set service context for: svc-1");
        assert_eq!(output.structured, Some(json!({"service_id": "svc-1"})));
        let back = fixture.call(GET_SERVICE, json!({})).await;
        assert_eq!(back.structured, Some(facts.clone()));
        assert_eq!(serde_json::from_str::<Value>(&back.text).unwrap(), facts);
    }
}

#[tokio::test]
async fn set_service_context_reports_service_id_only() {
    for (facts, name) in [
        (json!({"service_id": " svc-1 ", "name": "web"}), "svc-1"),
        (json!({"service_id": 42}), "42"),
        (json!({"id": "svc-2", "service_name": "web"}), "unknown"),
        (json!({"service_id": "", "name": "web"}), "unknown"),
        (json!({"service_id": null}), "unknown"),
        (json!({"service_id": ["svc"]}), "unknown"),
        (json!({"service_id": "one\nError: another line"}), "unknown"),
        (json!({"service_id": "x".repeat(129)}), "unknown"),
        (json!({"cluster": "main"}), "unknown"),
    ] {
        let output = ToolsFixture::new().call(SET_SERVICE, facts).await;
        assert_eq!(output.text, format!("Successfully set service context for: {name}"));
    }
}

#[tokio::test]
async fn set_service_context_replaces_previous() {
    let fixture = ToolsFixture::with_credentials().await;
    fixture.call(SET_SERVICE, json!({"name": "after"})).await;
    assert_eq!(fixture.call(GET_SERVICE, json!({})).await.structured, Some(json!({"name": "after"})));
}
