//! Arbitrary input: no tool panics, and none repeats its input.

use futures_util::FutureExt;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::*;

const MARK: &str = "wJalrXUtnFEMI";

/// The names of the fields that the tools define.
const FIELDS: &[&str] = &[
    "credentials_json",
    "stack_job_json",
    "service_info_json",
    "account",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "expires_at",
    "account_id",
    "region",
    "spec",
    "target",
    "provider_credential_id",
    "aws_account_region",
    "credential_session",
    "accounts",
    "policy",
    "policy_name",
    "lifetime",
];

/// Generates text that is often valid for the tools, and often contains the mark.
fn text_strategy() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(MARK.to_owned()),
        Just(format!("{{\"access_key_id\": \"{MARK}\"}}")),
        Just(format!("AKIA{MARK}0000")),
        Just("us-east-1".to_owned()),
        Just(CREDENTIAL_ID.to_owned()),
        "\\PC{0,12}".prop_map(|noise| format!("{noise}{MARK}")),
        any::<String>(),
    ]
}

fn field_strategy() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(FIELDS).prop_map(str::to_owned), 1 => text_strategy()]
}

fn json_strategy() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text_strategy().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(field_strategy(), inner.clone(), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tool_arbitrary_json_never_panics_or_echoes(input in json_strategy(), wrap in any::<bool>()) {
        let fixture = ToolsFixture::new();
        for (tool, field) in [(SET_CREDENTIALS, "credentials_json"), (GET_CREDENTIALS, "account"), (SET_FROM_STACK_JOB, "stack_job_json"), (CLEAR_CREDENTIALS, "x")] {
            let input = if wrap { json!({field: input}) } else { input.clone() };
            let output = fixture.call(tool, input).now_or_never().expect("nothing to wait for");
            let text = format!("{} {:?}", output.text, output.structured);
            prop_assert!(!text.contains(MARK), "{tool}: {text}");
            prop_assert!(!output.is_error || output.structured.is_some());
        }
    }

    #[test]
    fn service_context_arbitrary_value_refused_or_unchanged(facts in json_strategy()) {
        let fixture = ToolsFixture::new();
        let set = fixture.call(SET_SERVICE, json!({"service_info_json": facts})).now_or_never().expect("ready");
        let got = fixture.call(GET_SERVICE, json!({})).now_or_never().expect("ready");
        prop_assert_eq!(set.is_error, got.is_error);
        if facts.is_object() && !set.is_error {
            prop_assert_eq!(got.structured, Some(facts));
        } else if set.is_error {
            prop_assert!(!set.text.contains(MARK));
        }
    }
}
