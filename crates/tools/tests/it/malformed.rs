//! The table of malformed inputs: each returns a typed error with field and remedy, and changes nothing.

use serde_json::{Value, json};

use crate::fixture::*;

/// A value in every malformed input below, which must not be repeated.
const MARK: &str = "hunter2";

/// Calls `tool` with `input` on a session with credentials. The error must name `field`, and nothing may change.
async fn assert_refused(tool: &str, input: Value, field: &str) -> String {
    let fixture = ToolsFixture::with_credentials().await;
    let case = format!("{tool} {:.200}", input.to_string());
    let output = fixture.call(tool, input).await;
    let error = error_json(&output);
    assert_eq!(error["code"], "invalid", "{case}: {}", output.text);
    assert_eq!(error["transient"], false);
    assert_eq!(error["field"], field, "{case}: {}", output.text);
    assert!(error["next_step"].as_str().is_some_and(|step| !step.is_empty()), "{case}: {}", output.text);
    let text = format!("{} {error} {output:?}", output.text);
    assert!(!text.contains(MARK), "{case}: {text}");
    assert!(!output.text.contains('\n') && output.text.len() < 300, "{case}");
    assert_unchanged(&fixture).await;
    output.text
}

async fn assert_unchanged(fixture: &ToolsFixture) {
    let held = fixture.credentials().await;
    assert_eq!(held.expose_secret_access_key(), fixture.canary.expose_secret());
    assert_eq!(held.region(), None);
    let status = fixture.session.status();
    assert_eq!(status.accounts.len(), 1);
    assert_eq!(status.accounts[0].generation.get(), 1);
    assert_eq!(fixture.session.service_context().as_deref(), Some(&json!({"service_id": "svc-before"})));
}

fn credentials_with(field: &str, value: Value) -> Value {
    let mut given = credentials_json("us-west-2");
    given[field] = value;
    json!({"credentials_json": given})
}

#[tokio::test]
async fn set_credentials_missing_key_returns_original_text() {
    for field in ["access_key_id", "secret_access_key"] {
        for value in [json!(null), json!(""), json!(" \t\n")] {
            let text = assert_refused(SET_CREDENTIALS, credentials_with(field, value), field).await;
            assert_eq!(text, format!("Error: Missing required field '{field}'"));
        }
    }
    assert_eq!(
        assert_refused(SET_CREDENTIALS, json!({"credentials_json": "{}"}), "access_key_id").await,
        "Error: Missing required field 'access_key_id'"
    );
}

#[tokio::test]
async fn set_credentials_malformed_field_is_named() {
    let huge = MARK.repeat(100_000);
    for (field, value) in [
        ("access_key_id", json!(7)),
        ("access_key_id", json!([MARK])),
        ("access_key_id", json!(format!("AKIA {MARK}"))),
        ("access_key_id", json!("AKIA\u{202e}ÄÖÜ0000000000hunter2")),
        ("access_key_id", json!(huge)),
        ("secret_access_key", json!({"value": MARK})),
        ("secret_access_key", json!(true)),
        ("secret_access_key", json!(format!("{MARK}\u{0}"))),
        ("secret_access_key", json!(huge)),
        ("session_token", json!(1.5)),
        ("session_token", json!(format!("{MARK}\n{MARK}"))),
        ("session_token", json!(huge)),
        ("region", json!(["us-east-1"])),
        ("region", json!("US-EAST-1-hunter2")),
        ("region", json!("hunter2.example")),
        ("region", json!("us-east-1;hunter2")),
        ("region", json!(huge)),
        ("expires_at", json!("tomorrow, hunter2")),
        ("expires_at", json!("2026-13-45T99:99:99Z")),
        ("expires_at", json!("2001-01-01T00:00:00Z")),
        ("account_id", json!(1.5)),
        ("account_id", json!(MARK)),
        ("account", json!("two words hunter2")),
        ("account", json!(["default"])),
        ("account", json!(huge)),
    ] {
        assert_refused(SET_CREDENTIALS, credentials_with(field, value), field).await;
    }
}

#[tokio::test]
async fn set_credentials_non_object_is_refused() {
    for value in
        [json!([]), json!([MARK]), json!(7), json!(true), json!("[]"), json!("7"), json!("\"hunter2\"")]
    {
        assert_refused(SET_CREDENTIALS, json!({"credentials_json": value}), "credentials_json").await;
    }
    for value in [json!(null), json!(""), json!("  ")] {
        let text =
            assert_refused(SET_CREDENTIALS, json!({"credentials_json": value}), "credentials_json").await;
        assert_eq!(text, "Error: Missing required field 'credentials_json'");
    }
    assert_refused(SET_CREDENTIALS, json!({}), "credentials_json").await;
}

#[tokio::test]
async fn tool_argument_invalid_json_reports_position_only() {
    let deep = "[".repeat(100_000);
    let deep_object = "{\"a\":".repeat(10_000);
    for (tool, field) in [
        (SET_CREDENTIALS, "credentials_json"),
        (SET_FROM_STACK_JOB, "stack_job_json"),
        (SET_SERVICE, "service_info_json"),
    ] {
        for text in [
            "hunter2",
            "{\"access_key_id\": \"hunter2",
            "{\"hunter2\": }",
            "{'hunter2': 1}",
            "{} hunter2",
            "{\"a\": \"\\ud800hunter2\"}",
            "\u{feff}{\"hunter2\": 1}",
            &deep,
            &deep_object,
        ] {
            let error = assert_refused(tool, json!({field: text}), field).await;
            assert!(error.contains("Invalid JSON in `") && error.contains("at line 1 column"), "{error}");
        }
        let lines = assert_refused(tool, json!({field: "{\n\"a\": hunter2}"}), field).await;
        assert!(lines.contains("line 2 column"), "{lines}");
    }
}

#[tokio::test]
async fn tool_argument_oversized_text_is_refused() {
    let text = format!("{{\"a\": \"{}\"}}", "hunter2".repeat(200_000));
    for (tool, field) in [
        (SET_CREDENTIALS, "credentials_json"),
        (SET_FROM_STACK_JOB, "stack_job_json"),
        (SET_SERVICE, "service_info_json"),
    ] {
        let error = assert_refused(tool, json!({field: text}), field).await;
        assert!(error.contains("1 MiB"), "{error}");
    }
    let error_text =
        assert_refused(SET_SERVICE, json!({"service_id": "hunter2".repeat(40_000)}), "service_info_json")
            .await;
    assert!(error_text.contains("256 KiB"), "{error_text}");
}

#[tokio::test]
async fn stack_job_malformed_names_field_path() {
    const ID: &str = "spec.provider_credential_id";
    const REGION: &str = "spec.target.spec.aws_account_region";
    let huge = MARK.repeat(1_000);
    for (job, field) in [
        (json!({}), ID),
        (json!({"spec": null}), ID),
        (json!({"spec": {}}), ID),
        (json!({"spec": {"provider_credential_id": null}}), ID),
        (json!({"spec": {"provider_credential_id": " "}}), ID),
        (json!({"spec": {"provider_credential_id": 7}}), ID),
        (json!({"spec": {"provider_credential_id": {"id": MARK}}}), ID),
        (json!({"spec": {"provider_credential_id": "hunter2\u{0}"}}), ID),
        (json!({"spec": {"provider_credential_id": huge}}), ID),
        (json!({"spec": [MARK]}), "spec"),
        (json!({"spec": MARK}), "spec"),
        (json!({"spec": {"provider_credential_id": CREDENTIAL_ID, "target": MARK}}), "spec.target"),
        (
            json!({"spec": {"provider_credential_id": CREDENTIAL_ID, "target": {"spec": [MARK]}}}),
            "spec.target.spec",
        ),
        (job_in_region(json!(7)), REGION),
        (job_in_region(json!("hunter2.example")), REGION),
        (job_in_region(json!("us-east-1\nhunter2")), REGION),
        (job_in_region(json!([MARK])), REGION),
        (job_in_region(json!(huge)), REGION),
    ] {
        assert_refused(SET_FROM_STACK_JOB, json!({"stack_job_json": job}), field).await;
        assert_refused(SET_FROM_STACK_JOB, json!({"stack_job_json": job.to_string()}), field).await;
    }
    let text = assert_refused(SET_FROM_STACK_JOB, json!({"stack_job_json": {}}), ID).await;
    assert_eq!(text, "Error: Missing required field 'spec.provider_credential_id'");
}

fn job_in_region(region: Value) -> Value {
    json!({"spec": {"provider_credential_id": CREDENTIAL_ID, "target": {"spec": {"aws_account_region": region}}}})
}

#[tokio::test]
async fn stack_job_non_object_is_refused() {
    for value in [json!([MARK]), json!(7), json!("[]"), json!("null"), json!(null), json!("")] {
        assert_refused(SET_FROM_STACK_JOB, json!({"stack_job_json": value}), "stack_job_json").await;
    }
}

#[tokio::test]
async fn set_service_context_non_object_is_refused() {
    for value in
        [json!([MARK]), json!(7), json!("[]"), json!("\"hunter2\""), json!("{}"), json!({}), json!(null)]
    {
        assert_refused(SET_SERVICE, json!({"service_info_json": value}), "service_info_json").await;
    }
    assert_refused(SET_SERVICE, json!({}), "service_info_json").await;
    assert_refused(SET_SERVICE, json!(null), "service_info_json").await;
}

#[tokio::test]
async fn tool_arguments_non_object_are_refused() {
    for tool in [SET_CREDENTIALS, GET_CREDENTIALS, SET_FROM_STACK_JOB, SET_SERVICE] {
        for input in [json!([MARK]), json!(MARK), json!(7), json!(false)] {
            assert_refused(tool, input, "arguments").await;
        }
    }
    for account in [json!(7), json!([MARK]), json!("hunter2!")] {
        assert_refused(GET_CREDENTIALS, json!({"account": account}), "account").await;
    }
}

#[tokio::test]
async fn tool_arguments_unknown_name_is_error() {
    let fixture = ToolsFixture::with_credentials().await;
    let job = json!({"spec": {"provider_credential_id": CREDENTIAL_ID}});
    for (tool, input) in [
        (SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2"), "extra": 1})),
        (GET_CREDENTIALS, json!({"extra": 1})),
        (SET_FROM_STACK_JOB, json!({"stack_job_json": job, "extra": 1})),
        (GET_SERVICE, json!({"extra": 1})),
        (CLEAR_CREDENTIALS, json!({"extra": 1})),
    ] {
        let refused = fixture.call(tool, input).await;
        assert_eq!(error_json(&refused)["field"], "arguments", "{tool}");
    }
    assert!(!fixture.call(GET_CREDENTIALS, json!({})).await.is_error, "nothing was cleared");
}

#[tokio::test]
async fn session_argument_null_or_misspelled_is_error() {
    let fixture = ToolsFixture::with_credentials().await;
    for tool in fixture.tools.definitions().map(|definition| definition.name.clone()).collect::<Vec<_>>() {
        for (name, value) in [
            ("credential_session", json!(null)),
            ("credential_session", json!(" ")),
            ("credentialSession", json!("0".repeat(32))),
            ("credential-session", json!(null)),
            ("Credential_Session", json!("0".repeat(32))),
        ] {
            let mut input =
                json!({"credentials_json": credentials_json("us-west-2"), "stack_job_json": {"spec": {}}});
            let properties = &fixture.tools.get(&tool).unwrap().definition().input_schema["properties"];
            input.as_object_mut().unwrap().retain(|field, _| properties.get(field).is_some());
            input[name] = value;
            assert!(fixture.call(&tool, input.clone()).await.is_error, "{tool} {input}");
        }
    }
    let mut forwarded = json!({"credentialSession": "x"}).as_object().cloned().unwrap();
    assert!(fixture.tools.extract_session(&mut forwarded).is_err());
}
