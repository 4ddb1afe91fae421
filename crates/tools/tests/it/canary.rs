//! Canaries: the secrets of the session appear in no output and in no log at TRACE.

use serde_json::{Value, json};
use valetkey_core::testing::Canary;

use crate::fixture::*;

/// Returns valid and invalid inputs with secrets, for every tool that accepts them.
fn secret_inputs(canary: &Canary) -> Vec<Value> {
    let given = canary.to_json();
    let text = given.to_string();
    let secret = canary.expose_secret();
    vec![
        json!({"credentials_json": given}),
        json!({"credentials_json": text}),
        json!({"credentials_json": text[..text.len() - 1]}),
        json!({"credentials_json": [given]}),
        json!({"credentials_json": {"access_key_id": secret, "secret_access_key": secret}}),
        json!({"credentials_json": secret, "account": secret}),
        json!({"account": secret}),
        json!({"stack_job_json": {"spec": {"provider_credential_id": CREDENTIAL_ID}}}),
        json!({"stack_job_json": {"spec": {"provider_credential_id": secret}}}),
        json!({"stack_job_json": {"spec": given}}),
        json!({"stack_job_json": {"spec": {"provider_credential_id": CREDENTIAL_ID,
            "target": {"spec": {"aws_account_region": secret}}}}}),
        json!({"stack_job_json": format!("{{\"spec\": {secret}")}),
        json!({"service_info_json": secret}),
        json!({"credential_session": secret}),
        json!({"policy": given, "accounts": [secret]}),
        json!({"policy": secret, "policy_name": secret}),
        json!({"policy_name": secret, "lifetime": secret}),
        json!({}),
        json!([given]),
        json!(secret),
        given,
    ]
}

#[tokio::test]
async fn tool_outputs_and_logs_have_no_secret() {
    let logs = captured_logs();
    let fixture = ToolsFixture::with_credentials().await;
    let mut text = String::new();
    for input in secret_inputs(&fixture.canary) {
        for tool in [
            SET_CREDENTIALS,
            GET_CREDENTIALS,
            SET_FROM_STACK_JOB,
            GET_SERVICE,
            NARROW_CREDENTIALS,
            CLOSE_SESSION,
            LIST_ACCOUNTS,
            REFRESH_CREDENTIALS,
        ] {
            let output = fixture.call(tool, input.clone()).await;
            text.push_str(&format!("{} {:?} {output:?}\n", output.text, output.structured));
        }
        text.push_str(&format!("{:?} {:?}\n", fixture.session, fixture.session.status()));
    }
    let held = fixture.credentials().await;
    assert_eq!(held.expose_secret_access_key(), fixture.canary.expose_secret(), "present where it belongs");
    assert!(logs.text().contains("tool called"), "the capture works");
    assert_eq!(fixture.canary.found_in(&text), [""; 0], "{text}");
    assert_eq!(fixture.canary.found_in(&logs.text()), [""; 0]);
}

#[tokio::test]
async fn set_service_context_error_is_unechoed() {
    let fixture = ToolsFixture::with_credentials().await;
    for input in secret_inputs(&fixture.canary) {
        let output = fixture.call(SET_SERVICE, input).await;
        assert!(fixture.canary.found_in(&format!("{} {:?}", output.text, output.structured)).is_empty());
    }
}
