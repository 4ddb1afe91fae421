//! The input, the output and the errors of `narrow_aws_credentials`.

use serde_json::{Value, json};
use valetkey_core::{Clock, SessionContext};
use valetkey_tools::ToolSet;

use super::{NarrowFixture, read_only_policy, read_only_policy_json};
use crate::fixture::*;

#[tokio::test]
async fn narrow_returns_handle_accounts_policy_and_expiry() {
    let fixture = NarrowFixture::new();
    let output = fixture
        .call(NARROW_CREDENTIALS, json!({"policy": read_only_policy_json(), "accounts": ["prod", "default"]}))
        .await;
    let structured = output.structured.as_ref().unwrap();
    let handle = structured["credential_session"].as_str().unwrap();
    assert!(
        output.text.contains(handle) && output.text.starts_with("Successfully narrowed"),
        "{}",
        output.text
    );
    assert_eq!(structured["accounts"], json!(["default", "prod"]));
    assert_eq!(structured["policy_digest"], read_only_policy().digest().to_string());
    let end = fixture.clock.now() + std::time::Duration::from_secs(3600);
    assert_eq!(structured["ends_at"], json!(valetkey_core::Expiry::At(end)), "an hour by default");
}

#[tokio::test]
async fn narrow_policy_as_object_text_or_name_is_accepted() {
    let fixture = NarrowFixture::new();
    for input in [
        json!({"policy": read_only_policy_json()}),
        json!({"policy": read_only_policy_json().to_string()}),
        json!({"policy_name": "reading"}),
        json!({"policy_name": " reading ", "policy": " "}),
        json!({"policy_name": "", "policy": read_only_policy_json()}),
    ] {
        let structured = fixture.narrow(input.clone()).await;
        assert_eq!(structured["policy_digest"], read_only_policy().digest().to_string(), "{input}");
        assert_eq!(fixture.key_suffix(structured["credential_session"].as_str().unwrap()).await, "LESS");
    }
    let all = fixture.narrow(json!({})).await;
    assert_eq!(all["policy_digest"], Value::Null);
}

#[tokio::test]
async fn narrow_invalid_argument_names_field_unechoed() {
    let fixture = NarrowFixture::new();
    for (input, field) in [
        (json!({"policy": 7}), "policy"),
        (json!({"policy": " "}), "policy"),
        (json!({"policy_name": ""}), "policy"),
        (json!({"policy": null}), "policy"),
        (json!({"policy_name": null}), "policy_name"),
        (json!({"accounts": null}), "accounts"),
        (json!({"lifetime": null}), "lifetime"),
        (json!({"account": "prod"}), "arguments"),
        (json!({"policyName": "reading"}), "arguments"),
        (json!({"life_time": 60}), "arguments"),
        (json!({"credential_session": " "}), "credential_session"),
        (json!({"policy": "wJalrXUtnFEMI"}), "policy"),
        (json!({"policy": {"Statement": []}}), "Version"),
        (json!({"policy": read_only_policy_json(), "policy_name": "reading"}), "policy"),
        (json!({"policy_name": "wJalrXUtnFEMI"}), "policy_name"),
        (json!({"policy_name": 7}), "policy_name"),
        (json!({"accounts": "wJalrXUtnFEMI"}), "accounts"),
        (json!({"accounts": ["prod", 7]}), "accounts"),
        (json!({"accounts": ["no/alias"]}), "accounts"),
        (json!({"accounts": []}), "accounts"),
        (json!({"lifetime": 0}), "lifetime"),
        (json!({"lifetime": -5}), "lifetime"),
        (json!({"lifetime": 1.5}), "lifetime"),
        (json!({"lifetime": "wJalrXUtnFEMI"}), "lifetime"),
        (json!({"lifetime": 43_201}), "lifetime"),
    ] {
        let output = fixture.call(NARROW_CREDENTIALS, input.clone()).await;
        assert_eq!(error_json(&output)["field"], field, "{input}: {}", output.text);
        assert!(!output.text.contains("wJalrXUtnFEMI"), "{}", output.text);
    }
    let unknown = fixture.call(NARROW_CREDENTIALS, json!({"policy_name": "writing"})).await;
    assert!(unknown.text.contains("use one of: reading"), "{}", unknown.text);
    let missing = fixture.call(CLOSE_SESSION, json!({})).await;
    assert_eq!(missing.text, "Error: Missing required field 'credential_session'");
}

#[tokio::test]
async fn narrow_static_credentials_with_policy_is_refused() {
    let fixture = ToolsFixture::with_credentials().await;
    let refused = fixture.call(NARROW_CREDENTIALS, json!({"policy": read_only_policy_json()})).await;
    assert!(refused.text.contains("set directly") && refused.text.contains("role"), "{}", refused.text);
    let narrowed = fixture.call(NARROW_CREDENTIALS, json!({"lifetime": 60})).await.structured.unwrap();
    let output =
        fixture.call(GET_CREDENTIALS, json!({"credential_session": narrowed["credential_session"]})).await;
    assert_eq!(
        output.structured.unwrap()["key_suffix"],
        fixture.credentials().await.access_key_id().last_four()
    );
}

#[tokio::test]
async fn narrow_excludes_unnarrowable_accounts_unless_named() {
    let fixture = NarrowFixture::new();
    let keys = super::alias("keys");
    fixture.session.for_account(&keys).set_credentials(fixture.session.credentials().await.unwrap()).unwrap();
    assert_eq!(
        fixture.narrow(json!({"policy": read_only_policy_json()})).await["accounts"],
        json!(["default", "prod"])
    );
    assert_eq!(fixture.narrow(json!({})).await["accounts"], json!(["default", "keys", "prod"]));
    let named = fixture
        .call(NARROW_CREDENTIALS, json!({"policy": read_only_policy_json(), "accounts": ["keys", "prod"]}))
        .await;
    assert!(named.text.contains("`keys` cannot be narrowed"), "{}", named.text);
}

#[test]
fn narrow_schema_lists_policy_names_only_if_configured() {
    let fixture = NarrowFixture::new();
    let schema = |tools: &ToolSet| tools.get(NARROW_CREDENTIALS).unwrap().definition().input_schema.clone();
    assert_eq!(schema(&fixture.tools)["properties"]["policy_name"]["enum"], json!(["reading"]));
    let bare = ToolSet::for_session(SessionContext::builder().build());
    assert!(schema(&bare)["properties"].get("policy_name").is_none());
}
