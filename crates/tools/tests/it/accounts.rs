//! Several accounts in a session, and several sessions.

use serde_json::json;
use valetkey_core::SessionContext;
use valetkey_core::testing::Canary;
use valetkey_tools::ToolSet;

use crate::fixture::*;

#[tokio::test]
async fn set_credentials_account_in_argument_or_in_json() {
    let fixture = ToolsFixture::new();
    let mut inside = credentials_json("eu-west-1");
    inside["account"] = "staging".into();
    let among = fixture.call(SET_CREDENTIALS, json!({"credentials_json": inside})).await;
    let beside = fixture
        .call(SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2"), "account": "prod"}))
        .await;
    assert_eq!(among.structured.unwrap()["account"], "staging");
    assert_eq!(beside.structured.unwrap()["account"], "prod");
    for (account, region) in [("staging", "eu-west-1"), ("prod", "us-west-2")] {
        let status = fixture.call(GET_CREDENTIALS, json!({"account": account})).await.structured.unwrap();
        assert_eq!(status["region"], region);
        assert_eq!(status["default"], false);
    }
    assert!(fixture.session.credentials().await.is_err(), "the default account was not touched");
}

#[tokio::test]
async fn set_credentials_account_argument_overrides_json() {
    let fixture = ToolsFixture::new();
    let mut inside = credentials_json("eu-west-1");
    inside["account"] = "staging".into();
    let output = fixture.call(SET_CREDENTIALS, json!({"credentials_json": inside, "account": "prod"})).await;
    assert_eq!(output.structured.unwrap()["account"], "prod");
}

#[tokio::test]
async fn get_credentials_unknown_account_lists_known_ones() {
    let fixture = ToolsFixture::with_credentials().await;
    let output = fixture.call(GET_CREDENTIALS, json!({"account": "nowhere"})).await;
    assert_eq!(error_json(&output)["code"], "not_configured");
    assert_eq!(error_json(&output)["field"], "account");
    assert!(output.text.contains("default") && !output.text.contains("nowhere"), "{}", output.text);
}

#[tokio::test]
async fn set_credentials_blank_account_is_default() {
    let fixture = ToolsFixture::new();
    let output = fixture
        .call(SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2"), "account": "  "}))
        .await;
    assert_eq!(output.structured.unwrap()["account"], "default");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_tool_sets_are_isolated() {
    let (first, second) = (ToolsFixture::new(), ToolsFixture::new());
    let work = |fixture: ToolsFixture, region: &'static str| async move {
        for turn in 0..200 {
            let canary = Canary::new();
            let mut given = canary.to_json();
            given["region"] = region.into();
            assert!(!fixture.call(SET_CREDENTIALS, json!({"credentials_json": given})).await.is_error);
            fixture.call(SET_SERVICE, json!({"service_id": format!("{region}-{turn}")})).await;
            tokio::task::yield_now().await;
            assert_eq!(fixture.credentials().await.expose_secret_access_key(), canary.expose_secret());
            assert_eq!(fixture.call(GET_CREDENTIALS, json!({})).await.structured.unwrap()["region"], region);
            let facts = fixture.call(GET_SERVICE, json!({})).await.structured.unwrap();
            assert_eq!(facts["service_id"], format!("{region}-{turn}"));
            if turn % 10 == 0 {
                fixture.call(CLEAR_CREDENTIALS, json!({})).await;
                assert!(fixture.session.credentials().await.is_err());
            }
        }
    };
    let (first, second) =
        tokio::join!(tokio::spawn(work(first, "us-west-2")), tokio::spawn(work(second, "eu-west-1")));
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn set_credentials_on_configured_account_is_denied() {
    let session = SessionContext::builder().build();
    let tools =
        ToolSet::builder(session.clone()).configured_account(session.default_account().clone()).build();
    let job = json!({"spec": {"provider_credential_id": CREDENTIAL_ID}});
    for (tool, input) in [
        (SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2")})),
        (SET_FROM_STACK_JOB, json!({"stack_job_json": job})),
    ] {
        let refused = tools.call(tool, input).await.unwrap();
        assert_eq!(error_json(&refused)["code"], "denied", "{tool}");
        assert!(
            refused.text.contains("`default` gets its credentials from its configuration"),
            "{}",
            refused.text
        );
    }
    let other = json!({"credentials_json": credentials_json("us-west-2"), "account": "other"});
    assert!(!tools.call(SET_CREDENTIALS, other).await.unwrap().is_error);
    assert!(session.current().is_none());
}
