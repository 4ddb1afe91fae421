//! What each tool says when all is well, to the letter.

use serde_json::json;

use crate::desk::*;

#[tokio::test]
async fn setting_credentials_names_the_region() {
    let desk = Desk::new();
    let output = desk.call(SET, json!({"credentials_json": credentials_json("us-west-2")})).await;
    assert_eq!(output.text, "Successfully set AWS credentials in context for region: us-west-2");
    assert_eq!(desk.credentials().await.region().unwrap().as_str(), "us-west-2");
    let status = output.structured.unwrap();
    assert_eq!(status["key_suffix"], "MPLE");
    assert_eq!(status["region"], "us-west-2");
}

#[tokio::test]
async fn credentials_may_be_text_and_the_region_defaults_to_us_east_1() {
    let desk = Desk::new();
    let text = json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s", "region": null})
        .to_string();
    let output = desk.call(SET, json!({"credentials_json": text})).await;
    assert_eq!(output.text, "Successfully set AWS credentials in context for region: us-east-1");
    assert_eq!(desk.credentials().await.region(), None, "a default is not stored");
}

#[tokio::test]
async fn a_second_set_replaces_the_first_whole() {
    let desk = Desk::with_credentials().await;
    desk.call(SET, json!({"credentials_json": credentials_json("eu-west-1")})).await;
    let held = desk.credentials().await;
    assert_eq!(held.expose_secret_access_key(), "not-so-secret");
    assert!(!held.has_session_token());
}

#[tokio::test]
async fn getting_credentials_shows_their_status_and_no_secret() {
    let desk = Desk::with_credentials().await;
    let output = desk.call(GET_CREDENTIALS, json!({})).await;
    let status: serde_json::Value = serde_json::from_str(&output.text).unwrap();
    assert_eq!(Some(&status), output.structured.as_ref());
    assert_eq!(status["account"], "default");
    assert_eq!(status["provider"], "context");
    assert_eq!(status["freshness"], "fresh");
    assert_eq!(status["has_session_token"], true);
    assert_eq!(status["region"], "us-east-1");
    assert_eq!(status["key_suffix"].as_str().unwrap().len(), 4);
    assert!(desk.canary.found_in(&output.text).is_empty());
}

#[tokio::test]
async fn getting_before_setting_says_which_tool_to_call() {
    let desk = Desk::new();
    let output = desk.call(GET_CREDENTIALS, json!({})).await;
    assert_eq!(error_json(&output)["code"], "not_configured");
    assert_eq!(error_json(&output)["message"], "No AWS credentials found in context");
    assert!(output.text.contains(SET) && output.text.contains(SET_FROM_STACK_JOB));
}

#[tokio::test]
async fn an_expiry_is_shown_as_it_was_set() {
    let desk = Desk::new();
    let mut given = credentials_json("us-west-2");
    given["expires_at"] = "2999-01-01T00:00:00Z".into();
    desk.call(SET, json!({"credentials_json": given})).await;
    let status = desk.call(GET_CREDENTIALS, json!(null)).await.structured.unwrap();
    assert_eq!(status["expires_at"], "2999-01-01T00:00:00Z");
}

#[tokio::test]
async fn clearing_wipes_credentials_and_service_context_and_may_be_repeated() {
    let desk = Desk::with_credentials().await;
    for _ in 0..2 {
        let output = desk.call(CLEAR_CREDENTIALS, json!({})).await;
        assert_eq!(output.text, "Successfully cleared all credentials and context from memory");
        assert!(!output.is_error);
    }
    assert!(desk.session.credentials().await.is_err());
    assert_eq!(error_json(&desk.call(GET_CREDENTIALS, json!({})).await)["code"], "not_configured");
    assert_eq!(error_json(&desk.call(GET_SERVICE, json!({})).await)["code"], "not_configured");
}

#[tokio::test]
async fn a_cleared_session_can_be_used_again() {
    let desk = Desk::with_credentials().await;
    desk.call(CLEAR_CREDENTIALS, json!({})).await;
    assert!(!desk.call(SET, json!({"credentials_json": credentials_json("us-west-2")})).await.is_error);
    assert!(!desk.call(GET_CREDENTIALS, json!({})).await.is_error);
}

#[tokio::test]
async fn a_closed_session_answers_closed_everywhere() {
    let desk = Desk::with_credentials().await;
    desk.session.close();
    let job = json!({"spec": {"provider_credential_id": CREDENTIAL_ID}});
    for (tool, input) in [
        (SET, json!({"credentials_json": credentials_json("us-west-2")})),
        (GET_CREDENTIALS, json!({})),
        (SET_FROM_STACK_JOB, json!({"stack_job_json": job})),
        (SET_SERVICE, json!({"service_id": "svc"})),
    ] {
        let output = desk.call(tool, input).await;
        assert_eq!(error_json(&output)["code"], "closed", "{tool}");
    }
}
