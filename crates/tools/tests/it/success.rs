//! The exact text of each tool's success.

use serde_json::json;

use crate::fixture::*;

#[tokio::test]
async fn set_credentials_reports_region() {
    let fixture = ToolsFixture::new();
    let output =
        fixture.call(SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2")})).await;
    assert_eq!(output.text, "Successfully set AWS credentials in context for region: us-west-2");
    assert_eq!(fixture.credentials().await.region().unwrap().as_str(), "us-west-2");
    let status = output.structured.unwrap();
    assert_eq!(status["key_suffix"], "MPLE");
    assert_eq!(status["region"], "us-west-2");
}

#[tokio::test]
async fn set_credentials_as_text_defaults_to_us_east_1() {
    let fixture = ToolsFixture::new();
    let text = json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s", "region": null})
        .to_string();
    let output = fixture.call(SET_CREDENTIALS, json!({"credentials_json": text})).await;
    assert_eq!(output.text, "Successfully set AWS credentials in context for region: us-east-1");
    assert_eq!(fixture.credentials().await.region(), None, "a default is not stored");
}

#[tokio::test]
async fn set_credentials_again_replaces_all_fields() {
    let fixture = ToolsFixture::with_credentials().await;
    fixture.call(SET_CREDENTIALS, json!({"credentials_json": credentials_json("eu-west-1")})).await;
    let held = fixture.credentials().await;
    assert_eq!(held.expose_secret_access_key(), "not-so-secret");
    assert!(!held.has_session_token());
}

#[tokio::test]
async fn get_credentials_returns_status_without_secrets() {
    let fixture = ToolsFixture::with_credentials().await;
    let output = fixture.call(GET_CREDENTIALS, json!({})).await;
    let status: serde_json::Value = serde_json::from_str(&output.text).unwrap();
    assert_eq!(Some(&status), output.structured.as_ref());
    assert_eq!(status["account"], "default");
    assert_eq!(status["provider"], "context");
    assert_eq!(status["freshness"], "fresh");
    assert_eq!(status["has_session_token"], true);
    assert_eq!(status["region"], "us-east-1");
    assert_eq!(status["key_suffix"].as_str().unwrap().len(), 4);
    assert!(fixture.canary.found_in(&output.text).is_empty());
}

#[tokio::test]
async fn get_credentials_before_set_names_tool_to_call() {
    let fixture = ToolsFixture::new();
    let output = fixture.call(GET_CREDENTIALS, json!({})).await;
    assert_eq!(error_json(&output)["code"], "not_configured");
    assert_eq!(error_json(&output)["message"], "No AWS credentials found in context");
    assert!(output.text.contains(SET_CREDENTIALS) && output.text.contains(SET_FROM_STACK_JOB));
}

#[tokio::test]
async fn get_credentials_returns_expiry_as_set() {
    let fixture = ToolsFixture::new();
    let mut given = credentials_json("us-west-2");
    given["expires_at"] = "2999-01-01T00:00:00Z".into();
    fixture.call(SET_CREDENTIALS, json!({"credentials_json": given})).await;
    let status = fixture.call(GET_CREDENTIALS, json!(null)).await.structured.unwrap();
    assert_eq!(status["expires_at"], "2999-01-01T00:00:00Z");
}

#[tokio::test]
async fn clear_credentials_removes_all_and_is_repeatable() {
    let fixture = ToolsFixture::with_credentials().await;
    for _ in 0..2 {
        let output = fixture.call(CLEAR_CREDENTIALS, json!({})).await;
        assert_eq!(output.text, "Successfully cleared all credentials and context from memory");
        assert!(!output.is_error);
    }
    assert!(fixture.session.credentials().await.is_err());
    assert_eq!(error_json(&fixture.call(GET_CREDENTIALS, json!({})).await)["code"], "not_configured");
    assert_eq!(error_json(&fixture.call(GET_SERVICE, json!({})).await)["code"], "not_configured");
}

#[tokio::test]
async fn set_credentials_after_clear_succeeds() {
    let fixture = ToolsFixture::with_credentials().await;
    fixture.call(CLEAR_CREDENTIALS, json!({})).await;
    assert!(
        !fixture
            .call(SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2")}))
            .await
            .is_error
    );
    assert!(!fixture.call(GET_CREDENTIALS, json!({})).await.is_error);
}

#[tokio::test]
async fn tools_on_closed_session_return_closed() {
    let fixture = ToolsFixture::with_credentials().await;
    fixture.session.close();
    let job = json!({"spec": {"provider_credential_id": CREDENTIAL_ID}});
    for (tool, input) in [
        (SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2")})),
        (GET_CREDENTIALS, json!({})),
        (SET_FROM_STACK_JOB, json!({"stack_job_json": job})),
        (SET_SERVICE, json!({"service_id": "svc"})),
    ] {
        let output = fixture.call(tool, input).await;
        assert_eq!(error_json(&output)["code"], "closed", "{tool}");
    }
}
