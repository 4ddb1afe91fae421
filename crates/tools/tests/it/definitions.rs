//! The tool definitions that a model receives.

use serde_json::Value;
use valetkey_core::SessionContext;
use valetkey_tools::{SecretExposure, ToolSet};

use crate::fixture::*;

#[test]
fn definitions_keep_tool_names_and_order() {
    let fixture = ToolsFixture::new();
    let names: Vec<_> = fixture.tools.definitions().map(|definition| definition.name.as_ref()).collect();
    assert_eq!(
        names,
        [
            SET_CREDENTIALS,
            GET_CREDENTIALS,
            SET_FROM_STACK_JOB,
            SET_SERVICE,
            GET_SERVICE,
            CLEAR_CREDENTIALS,
            LIST_ACCOUNTS,
            REFRESH_CREDENTIALS,
            NARROW_CREDENTIALS,
            CLOSE_SESSION
        ]
    );
}

#[test]
fn definitions_are_shared_by_all_sessions() {
    let [first, second] = [ToolsFixture::new(), ToolsFixture::new()];
    for (one, other) in first.tools.definitions().zip(second.tools.definitions()) {
        assert!(std::ptr::eq(one, other), "{} has two copies, each larger than a session", one.name);
    }
}

#[test]
fn definitions_all_have_session_argument() {
    let fixture = ToolsFixture::new();
    for definition in fixture.tools.definitions() {
        let argument = &definition.input_schema["properties"][valetkey_tools::CREDENTIAL_SESSION];
        assert_eq!(argument["type"], "string", "{}", definition.name);
    }
}

#[test]
fn definitions_annotations_match_effects() {
    let fixture = ToolsFixture::new();
    for definition in fixture.tools.definitions() {
        let (hints, name) = (definition.annotations, definition.name.as_ref());
        let reads = name.starts_with("get_") || name.starts_with("list_");
        assert_eq!(hints.read_only, reads, "{name}");
        let adds = name == REFRESH_CREDENTIALS || name == NARROW_CREDENTIALS;
        assert_eq!(hints.destructive, !reads && !adds, "{name}");
        assert_eq!(hints.idempotent, !adds, "{name}");
        assert!(!hints.open_world, "{name}");
    }
}

#[test]
fn definitions_schemas_are_objects_with_required_fields() {
    let fixture = ToolsFixture::new();
    for definition in fixture.tools.definitions() {
        for schema in [&definition.input_schema, definition.output_schema.as_ref().unwrap()] {
            assert_eq!(schema["type"], "object", "{}", definition.name);
            for field in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    schema["properties"].get(field.as_str().unwrap()).is_some(),
                    "{}: {field}",
                    definition.name
                );
            }
        }
        assert!(definition.title.is_some() && !definition.description.contains("  "), "{}", definition.name);
    }
}

#[tokio::test]
async fn tool_results_have_fields_required_by_schema() {
    let fixture = ToolsFixture::with_credentials().await;
    let job = serde_json::json!({"stack_job_json": {"spec": {"provider_credential_id": CREDENTIAL_ID}}});
    // A refresh of static credentials fails; the other tests cover its output.
    for definition in fixture.tools.definitions().filter(|definition| definition.name != REFRESH_CREDENTIALS)
    {
        let input = match definition.name.as_ref() {
            SET_CREDENTIALS => serde_json::json!({"credentials_json": credentials_json("us-west-2")}),
            SET_FROM_STACK_JOB => job.clone(),
            SET_SERVICE => serde_json::json!({"service_id": "svc"}),
            CLOSE_SESSION => close_input(&fixture).await,
            _ => Value::Null,
        };
        let output = fixture.call(&definition.name, input).await;
        assert!(!output.is_error, "{}: {}", definition.name, output.text);
        let (schema, structured) = (definition.output_schema.as_ref().unwrap(), output.structured.unwrap());
        for field in schema["required"].as_array().into_iter().flatten() {
            assert!(structured.get(field.as_str().unwrap()).is_some(), "{}: {field}", definition.name);
        }
    }
}

/// Returns the input of a call that closes a narrowed session.
async fn close_input(fixture: &ToolsFixture) -> Value {
    fixture
        .call(SET_CREDENTIALS, serde_json::json!({"credentials_json": credentials_json("us-west-2")}))
        .await;
    let narrowed = fixture.call(NARROW_CREDENTIALS, Value::Null).await.structured.unwrap();
    serde_json::json!({"credential_session": narrowed["credential_session"]})
}

#[test]
fn definitions_mention_secrets_only_when_revealing() {
    let describe = |exposure| {
        let tools = ToolSet::builder(SessionContext::builder().build()).secret_exposure(exposure).build();
        tools.get(GET_CREDENTIALS).unwrap().definition().output_schema.as_ref().unwrap().to_string()
    };
    assert!(!describe(SecretExposure::StatusOnly).contains("secret_access_key"));
    assert!(describe(SecretExposure::Reveal).contains("secret_access_key"));
}
