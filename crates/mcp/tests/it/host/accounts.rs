//! The argument `aws_account`: a call selects the account of the session that it runs with.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use valetkey_core::{AccessScope, AccountName, SessionContext};
use valetkey_mcp::McpHostBuilder;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;

use crate::host_fixture::{HostFixture, fixture_server, host_environment, mcp_config, pid, raw_server};
use crate::process::is_running;
use crate::role_fixture::{RoleProviderFixture, read_policy};

const DELIVERIES: [Delivery; 2] = [Delivery::Endpoint, Delivery::Env];

fn prod() -> AccountName {
    "prod".parse().unwrap()
}

/// Returns a host whose session has the accounts `default`, of role `x`, and `prod`, of role `p`.
async fn two_accounts<const N: usize>(
    servers: [(&str, ServerConfig); N],
    describe: impl FnOnce(McpHostBuilder) -> McpHostBuilder,
) -> HostFixture {
    let session = SessionContext::builder()
        .provider(RoleProviderFixture::new('x'))
        .provider_for(prod(), RoleProviderFixture::new('p'))
        .build();
    let host = valetkey_mcp::McpHost::builder(&session, mcp_config(servers)).environment(host_environment());
    let host = describe(host).start().await.unwrap();
    HostFixture { host, session, audit: std::sync::Arc::default() }
}

/// Returns the permissions and the role of the keys that a call runs with, and its process.
async fn whoami(fixture: &HostFixture, arguments: Value) -> (String, u32) {
    let answer = fixture.call("fixture__whoami", arguments).await;
    (answer["key"].as_str().unwrap()[..2].to_owned(), pid(&answer))
}

#[tokio::test]
async fn call_selected_account_has_its_own_process_and_keys() {
    for delivery in DELIVERIES {
        let fixture = two_accounts([("fixture", fixture_server(delivery))], |host| host).await;
        let prod = json!({"aws_account": "prod"});
        let (usual, selected) = (whoami(&fixture, json!({})).await, whoami(&fixture, prod.clone()).await);
        assert_eq!((usual.0.as_str(), selected.0.as_str()), ("Ax", "Ap"));
        assert_ne!(usual.1, selected.1);
        assert_eq!(whoami(&fixture, json!({"aws_account": "default"})).await, usual);
        assert_eq!(whoami(&fixture, prod).await, selected, "it is not started for each call");
        fixture.host.shutdown().await;
        assert!(!is_running(selected.1));
    }
}

#[tokio::test]
async fn call_account_argument_is_not_forwarded() {
    let fixture = two_accounts([("fixture", fixture_server(Delivery::Endpoint))], |host| host).await;
    for account in ["default", "prod"] {
        let echo = fixture.call("fixture__echo", json!({"b": 1, "aws_account": account, "a": 2})).await;
        assert_eq!(echo["echo"].to_string(), r#"{"b":1,"a":2}"#, "the order is kept");
    }
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_unknown_account_is_refused() {
    let fixture = two_accounts([("fixture", fixture_server(Delivery::Endpoint))], |host| host).await;
    for wrong in [
        json!({"aws_account": "staging"}),
        json!({"aws_account": null}),
        json!({"aws_account": ""}),
        json!({"aws_account": ["prod"]}),
        json!({"aws_account": "arn:aws:iam::111122223333:role/x"}),
        json!({"awsAccount": "prod"}),
        json!({"AWS-Account": "prod"}),
    ] {
        let text = fixture.call_error_with("fixture__whoami", wrong.clone()).await;
        assert!(text.to_lowercase().contains("leave it out") || text.contains("account"), "{wrong}: {text}");
        assert!(!text.contains("staging") && !text.contains("arn:"), "no input is repeated: {text}");
    }
    assert_eq!(fixture.host.narrowed_pids().count(), 0, "no process was started for them");
    let text = fixture.call_error_with("fixture__whoami", json!({"aws_account": "staging"})).await;
    assert!(text.contains("`default`, `prod`"), "{text}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_selected_account_keeps_tool_policy() {
    let policy = |host: McpHostBuilder| host.tool_policy("fixture", "whoami", read_policy());
    let fixture = two_accounts([("fixture", fixture_server(Delivery::Env))], policy).await;
    let (usual, selected) =
        (whoami(&fixture, json!({})).await, whoami(&fixture, json!({"aws_account": "prod"})).await);
    assert_eq!((usual.0.as_str(), selected.0.as_str()), ("Rx", "Rp"));
    assert_ne!(usual.1, selected.1);
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_narrowed_session_selects_only_its_accounts() {
    let fixture = two_accounts([("fixture", fixture_server(Delivery::Endpoint))], |host| host).await;
    let call = async |session: &SessionContext, account: &str| {
        let arguments = json!({"aws_account": account}).as_object().cloned();
        let token = CancellationToken::new();
        fixture.host.call_for(session, "fixture__whoami", arguments, &token).await.unwrap()
    };
    let both = fixture.session.narrow(AccessScope::new().policy(read_policy())).unwrap();
    assert!(call(&both, "prod").await["structuredContent"]["key"].as_str().unwrap().starts_with("Rp"));
    assert!(call(&both, "default").await["structuredContent"]["key"].as_str().unwrap().starts_with("Rx"));
    let only = fixture.session.narrow(AccessScope::new().accounts(["default".parse().unwrap()])).unwrap();
    let refused = call(&only, "prod").await;
    assert_eq!(refused["structuredContent"]["error"]["field"], "aws_account", "{refused}");
    assert!(!refused.to_string().contains("prod"), "it is not shown other accounts: {refused}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_server_of_fixed_account_refuses_another() {
    let mut fixed = fixture_server(Delivery::Endpoint);
    fixed.account = Some(prod());
    let fixture = two_accounts([("fixture", fixed)], |host| host).await;
    assert_eq!(whoami(&fixture, json!({})).await.0, "Ap");
    assert_eq!(whoami(&fixture, json!({"aws_account": "prod"})).await.0, "Ap");
    let text = fixture.call_error_with("fixture__whoami", json!({"aws_account": "default"})).await;
    assert!(text.contains("always runs in the account `prod`"), "{text}");
    let echo = fixture.call("fixture__echo", json!({"aws_account": "prod"})).await;
    assert_eq!(echo["echo"], json!({}));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_argument_of_server_itself_is_forwarded() {
    let servers = [("fixture", fixture_server(Delivery::None)), ("raw", raw_server("forging"))];
    let fixture = two_accounts(servers, |host| host).await;
    let arguments = json!({"aws_account": "111122223333"});
    let none = fixture.call("fixture__echo", arguments.clone()).await;
    assert_eq!(none["echo"], arguments, "a server without credentials");
    let own = fixture.call("raw__tool", arguments.clone()).await;
    assert_eq!(own["arguments"], arguments, "a tool with such an argument");
    assert!(fixture.catalog().await.tools.iter().all(|tool| !tool.selects_account));
    fixture.host.shutdown().await;
}
