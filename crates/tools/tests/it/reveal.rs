//! The output of the previous version, with secrets, for hosts that opted in.

use std::sync::Arc;

use serde_json::json;
use valetkey_core::SessionContext;
use valetkey_core::audit::{AuditEvent, InMemoryAudit};
use valetkey_core::testing::Canary;
use valetkey_tools::{SecretExposure, ToolSet};

use crate::fixture::*;

#[tokio::test]
async fn get_credentials_revealing_returns_all_fields() {
    let session = SessionContext::builder().build();
    let tools = ToolSet::builder(session).secret_exposure(SecretExposure::Reveal).build();
    tools.call(SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2")})).await.unwrap();
    let output = tools.call(GET_CREDENTIALS, json!({})).await.unwrap();
    let old_shape = json!({
        "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "not-so-secret", "region": "us-west-2",
        "session_token": null,
    });
    assert_eq!(output.structured, Some(old_shape));
}

#[tokio::test]
async fn get_credentials_revealing_is_audited_each_time() {
    let audit = Arc::new(InMemoryAudit::default());
    let session = SessionContext::builder().audit(audit.clone()).build();
    let tools = ToolSet::builder(session).secret_exposure(SecretExposure::Reveal).build();
    let canary = Canary::new();
    let set = tools.call(SET_CREDENTIALS, json!({"credentials_json": canary.to_json()})).await.unwrap();
    assert!(canary.found_in(&format!("{} {:?}", set.text, set.structured)).is_empty());
    let output = tools.call(GET_CREDENTIALS, json!({})).await.unwrap();
    assert_eq!(canary.found_in(&output.text), ["secret", "token", "access_key_id"]);
    assert!(canary.found_in(&format!("{output:?} {tools:?}")).is_empty(), "Debug shows no output");
    let served: Vec<_> = audit.records().into_iter().filter(|it| it.event == AuditEvent::Serve).collect();
    assert_eq!(served.len(), 1);
    assert_eq!(served[0].component.as_deref(), Some(GET_CREDENTIALS));
}

#[tokio::test]
async fn get_credentials_revealing_without_credentials_is_error() {
    let session = SessionContext::builder().build();
    let tools = ToolSet::builder(session).secret_exposure(SecretExposure::Reveal).build();
    assert_eq!(error_json(&tools.call(GET_CREDENTIALS, json!({})).await.unwrap())["code"], "not_configured");
}
