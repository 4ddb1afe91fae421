//! Listing the accounts, and refreshing the credentials of an account.

use serde_json::json;
use valetkey_core::testing::{Canary, Script, ScriptedProvider};
use valetkey_core::{AccessScope, AccountName, Credentials, Error, ErrorKind, Expiry, SessionContext};
use valetkey_tools::ToolSet;

use crate::fixture::*;

fn alias(name: &str) -> AccountName {
    name.parse().unwrap()
}

fn canary_credentials() -> Credentials {
    Canary::new().credentials(Expiry::parse("e", "2099-01-01T00:00:00Z").unwrap()).unwrap()
}

#[tokio::test]
async fn list_accounts_shows_names_without_secrets() {
    let set = canary_credentials();
    let provider = ScriptedProvider::new([Script::Answer(set.clone())]);
    let session = SessionContext::builder().provider_for(alias("prod"), provider.clone()).build();
    let tools = ToolSet::for_session(session.clone());
    let output = tools.call(LIST_ACCOUNTS, json!({})).await.unwrap();
    let listed = output.structured.unwrap();
    let aliases: Vec<_> = listed["accounts"].as_array().unwrap().iter().map(|one| &one["account"]).collect();
    assert_eq!(aliases, ["default", "prod"]);
    assert_eq!(
        (&listed["accounts"][0]["default"], &listed["accounts"][1]["provider"]),
        (&json!(true), &json!("scripted"))
    );
    assert_eq!(provider.call_count(), 0, "listing makes no call");

    session.for_account(&alias("prod")).credentials().await.unwrap();
    let output = tools.call(LIST_ACCOUNTS, json!(null)).await.unwrap();
    assert_eq!(
        output.structured.as_ref().unwrap()["accounts"][1]["key_suffix"],
        set.access_key_id().last_four()
    );
    assert!(
        !output.text.contains("arn:") && !output.text.contains(set.expose_secret_access_key()),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn list_accounts_narrowed_session_shows_its_accounts() {
    let session = SessionContext::builder()
        .provider(ScriptedProvider::new([]))
        .provider_for(alias("prod"), ScriptedProvider::new([]))
        .build();
    let child = session.narrow(AccessScope::new().accounts([alias("prod")])).unwrap();
    let tools = ToolSet::for_session(child);
    let listed = tools.call(LIST_ACCOUNTS, json!({})).await.unwrap().structured.unwrap();
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(listed["accounts"][0]["account"], "prod");
    let refused = tools
        .call(SET_CREDENTIALS, json!({"credentials_json": credentials_json("us-west-2")}))
        .await
        .unwrap();
    assert_eq!(error_json(&refused)["code"], "denied");
    session.close();
    let closed = tools.call(LIST_ACCOUNTS, json!({})).await.unwrap();
    assert_eq!(error_json(&closed)["code"], "closed");
}

#[tokio::test]
async fn set_credentials_beyond_allowed_accounts_is_denied() {
    let session = SessionContext::builder().allowed_accounts([alias("default"), alias("prod")]).build();
    let tools = ToolSet::for_session(session);
    let set = |account: &str| json!({"credentials_json": credentials_json("us-west-2"), "account": account});
    assert!(!tools.call(SET_CREDENTIALS, set("prod")).await.unwrap().is_error);
    let refused = tools.call(SET_CREDENTIALS, set("nowhere")).await.unwrap();
    assert_eq!(
        (&error_json(&refused)["code"], &error_json(&refused)["field"]),
        (&json!("denied"), &json!("account"))
    );
    assert_eq!(error_json(&refused)["next_step"], "use one of: default, prod");
    assert!(!refused.text.contains("nowhere"), "{}", refused.text);
}

#[tokio::test]
async fn refresh_credentials_returns_expiry_and_generation() {
    let provider =
        ScriptedProvider::new([Script::Answer(canary_credentials()), Script::Answer(canary_credentials())]);
    let session = SessionContext::builder().provider_for(alias("prod"), provider.clone()).build();
    let tools = ToolSet::for_session(session);
    let refresh = async || tools.call(REFRESH_CREDENTIALS, json!({"account": "prod"})).await.unwrap();
    assert_eq!(refresh().await.structured.unwrap()["generation"], 1);
    let output = refresh().await;
    assert_eq!(
        output.text,
        "Successfully refreshed AWS credentials of account: prod, expiring: 2099-01-01T00:00:00Z"
    );
    assert_eq!(output.structured.unwrap()["generation"], 2);
    assert_eq!(provider.call_count(), 2);
}

#[tokio::test]
async fn refresh_credentials_error_has_cause_and_next_step() {
    let refusing =
        ScriptedProvider::new([Script::Fail(Error::new(ErrorKind::Denied, "refused by the role"))]);
    let session = SessionContext::builder().provider_for(alias("prod"), refusing).build();
    let tools = ToolSet::for_session(session.clone());
    session.set_credentials(canary_credentials()).unwrap();
    for (input, code, says) in [
        (json!({"account": "prod"}), "denied", "by the role"),
        (json!({"account": "nowhere"}), "not_configured", "use one of: default, prod"),
        (json!({}), "not_configured", "set directly"),
        (json!({"account": 7}), "invalid", "must be a string"),
    ] {
        let output = tools.call(REFRESH_CREDENTIALS, input).await.unwrap();
        assert_eq!(error_json(&output)["code"], code, "{}", output.text);
        assert!(output.text.contains(says) && !output.text.contains("nowhere"), "{}", output.text);
    }
}

#[tokio::test]
async fn refresh_credentials_after_clear_resumes_configured_account() {
    let source = Script::Answer(Canary::new().credentials(Expiry::Never).unwrap());
    let session = SessionContext::builder().provider(ScriptedProvider::new([source])).build();
    let tools = ToolSet::for_session(session.clone());
    let keys = json!({"credentials_json": credentials_json("eu-west-1"), "account": "other"});
    assert!(!tools.call(SET_CREDENTIALS, keys).await.unwrap().is_error);
    tools.call(CLEAR_CREDENTIALS, json!({})).await.unwrap();
    assert!(session.credentials().await.is_err(), "nothing is served until it is requested");
    let refused = tools.call(REFRESH_CREDENTIALS, json!({"account": "other"})).await.unwrap();
    assert!(refused.is_error && refused.text.contains("set credentials"), "{}", refused.text);
    let output = tools.call(REFRESH_CREDENTIALS, json!({})).await.unwrap();
    assert!(!output.is_error, "{}", output.text);
    session.credentials().await.unwrap();
}
