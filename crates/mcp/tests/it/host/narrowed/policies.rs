//! Tools under a policy run with only the permissions of that policy, in parallel to other tools.

use futures_util::future::join_all;
use serde_json::json;
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{ErrorKind, SessionContext};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::{McpConfig, McpHost};

use super::{DELIVERIES, access_and_role, call_slow, host_with_policies, narrowed_pids, set_role};
use crate::host_fixture::{HostFixture, fixture_server, host_environment, mcp_config, pid, raw_server};
use crate::keys::assert_masks_are_whole;
use crate::process::is_running;
use crate::role_fixture::{RoleProviderFixture, read_policy, write_policy};

#[tokio::test]
async fn tool_policy_has_its_own_process_and_keys() {
    for delivery in DELIVERIES {
        let fixture = host_with_policies(delivery, |host| host).await;
        let listed = fixture.catalog().await;
        assert!(
            listed.errors.is_empty() && narrowed_pids(&fixture).is_empty(),
            "to list, nothing is narrowed"
        );
        let (reads, writes) = (fixture.whoami().await, call_slow(&fixture).await);
        assert_eq!(
            (access_and_role(&reads), access_and_role(&writes), writes["after"] == writes["key"]),
            ("Rx", "Wx", true)
        );
        let mut known = vec![pid(&reads), pid(&writes)];
        known.sort_unstable();
        let mut narrowed = narrowed_pids(&fixture);
        narrowed.sort_unstable();
        assert_eq!(narrowed, known);
        assert!(!known.contains(&fixture.pid("fixture").unwrap()), "the plain process has run neither");
        assert_ne!((&reads["home"], &reads["tmp"]), (&writes["home"], &writes["tmp"]));
        assert_eq!(pid(&fixture.whoami().await), pid(&reads), "it is not started for each call");
        fixture.host.shutdown().await;
        assert!(known.into_iter().all(|pid| !is_running(pid)), "they are stopped with the host");
    }
}

#[tokio::test]
async fn tool_policy_equal_policies_share_credentials() {
    let servers =
        [("fixture", fixture_server(Delivery::Endpoint)), ("second", fixture_server(Delivery::Endpoint))];
    let host = |host: valetkey_mcp::McpHostBuilder| {
        host.tool_policy("fixture", "*", read_policy()).tool_policy("second", "whoami", read_policy())
    };
    let fixture = HostFixture::with_builder(servers, host).await;
    set_role(&fixture.session, 'x');
    let (first, second) = (fixture.whoami().await, fixture.call("second__whoami", json!({})).await);
    assert_eq!((access_and_role(&first), &first["key"]), ("Rx", &second["key"]));
    assert_ne!(pid(&first), pid(&second));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn tool_policy_server_uses_its_own_account() {
    let prod: valetkey_core::AccountName = "prod".parse().unwrap();
    let mut second = fixture_server(Delivery::Env);
    second.account = Some(prod.clone());
    let session = SessionContext::builder()
        .provider(RoleProviderFixture::new('x'))
        .provider_for(prod, RoleProviderFixture::new('p'))
        .build();
    let servers = mcp_config([("first", fixture_server(Delivery::Env)), ("second", second)]);
    let host = McpHost::builder(&session, servers).environment(host_environment());
    let host = host.tool_policy("first", "*", read_policy()).tool_policy("second", "*", read_policy());
    let fixture =
        HostFixture { host: host.start().await.unwrap(), session, audit: std::sync::Arc::default() };
    for _ in 0..2 {
        assert_eq!(access_and_role(&fixture.call("first__whoami", json!({})).await), "Rx");
        assert_eq!(access_and_role(&fixture.call("second__whoami", json!({})).await), "Rp");
    }
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn tool_policy_named_tool_overrides_wildcard() {
    let host = |host: valetkey_mcp::McpHostBuilder| {
        host.tool_policy("fixture", "whoami", write_policy()).tool_policy("fixture", "*", read_policy())
    };
    let fixture = HostFixture::with_builder([("fixture", fixture_server(Delivery::Env))], host).await;
    set_role(&fixture.session, 'x');
    assert_eq!(access_and_role(&fixture.whoami().await), "Wx");
    let message = fixture.call("fixture__leak", json!({})).await.to_string();
    assert!(!message.contains("-kept"), "the narrowed credentials are masked too: {message}");
    assert_masks_are_whole(&message);
    assert_eq!(access_and_role(&call_slow(&fixture).await), "Rx");
    fixture.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tool_policy_concurrent_calls_never_mix_credentials() {
    for delivery in DELIVERIES {
        let servers = [("fixture", fixture_server(delivery)), ("other", fixture_server(delivery))];
        let policies = |host: valetkey_mcp::McpHostBuilder| {
            host.tool_policy("fixture", "whoami", read_policy()).tool_policy("other", "*", write_policy())
        };
        let fixture = HostFixture::with_builder(servers, policies).await;
        set_role(&fixture.session, 'x');
        let call_repeatedly = async |tool: &str, expected: &str| {
            for _ in 0..25 {
                assert_eq!(access_and_role(&fixture.call(tool, json!({})).await), expected, "{tool}");
            }
        };
        let lanes = [("fixture__whoami", "Rx"), ("other__whoami", "Wx")].repeat(2);
        join_all(lanes.into_iter().map(|(tool, expected)| call_repeatedly(tool, expected))).await;
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn tool_policy_not_narrowable_call_is_refused_with_next_step() {
    for delivery in DELIVERIES {
        let fixture = host_with_policies(delivery, |host| host).await;
        fixture.whoami().await;
        for _ in 0..2 {
            fixture.session.set_credentials(crate::keys::keys("HAND")).unwrap();
            let message = fixture.call_error("fixture__whoami").await;
            assert!(message.contains("set directly") && message.contains("role"), "{message}");
            // No narrowed credentials from before this point remain.
            fixture.session.clear();
        }
        fixture.session.set_credentials(crate::keys::keys("HAND")).unwrap();
        assert_eq!(fixture.call("fixture__echo", json!({"a": 1})).await["echo"]["a"], 1, "others go on");
        fixture.session.clear();
        let message = fixture.call_error("fixture__whoami").await;
        assert!(message.contains("set_aws_credentials_context"), "{message}");
        let not_narrowable = ScriptedProvider::new([]);
        fixture.session.set_provider(not_narrowable).unwrap();
        let message = fixture.call_error("fixture__whoami").await;
        assert!(message.contains("cannot be narrowed") && message.contains("default"), "{message}");
        let refused =
            fixture.audit.records().iter().filter(|record| record.event == AuditEvent::Deny).count();
        assert_eq!(refused, 4, "each refusal is on record");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn tool_policy_for_unknown_tool_is_reported_in_catalog() {
    let host = |host: valetkey_mcp::McpHostBuilder| host.tool_policy("fixture", "who_am_i", read_policy());
    let fixture = HostFixture::with_builder([("fixture", fixture_server(Delivery::Endpoint))], host).await;
    let errors = fixture.catalog().await.errors;
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].server, "fixture");
    assert!(errors[0].error.message().contains("who_am_i") && errors[0].error.next_step().is_some());
    fixture.host.shutdown().await;
}

async fn start_with_policy(config: McpConfig, server: &str) -> valetkey_core::Result<McpHost> {
    let session = SessionContext::builder().build();
    let host = McpHost::builder(&session, config).environment(host_environment());
    host.tool_policy(server, "*", read_policy()).start().await
}

#[tokio::test]
async fn tool_policy_without_effect_is_refused() {
    for (server, says) in [("fixtures", "not configured"), ("keyless", "no credentials")] {
        let servers = mcp_config([
            ("fixture", fixture_server(Delivery::Endpoint)),
            ("keyless", fixture_server(Delivery::None)),
        ]);
        let error = start_with_policy(servers, server).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("tool_policy")), "{error}");
        assert!(error.message().contains(says) && error.next_step().is_some(), "{error}");
    }
    let variables = valetkey_mcp::config::VarLookup::new(|_| None);
    let text = r#"{"mcpServers": {"off": {"command": "x", "disabled": true}, "broken": {}}}"#;
    for server in ["off", "broken"] {
        let servers = McpConfig::parse(text, &variables).unwrap();
        start_with_policy(servers, server).await.unwrap().shutdown().await;
    }
}

#[tokio::test]
async fn tool_policy_server_start_error_is_returned() {
    let mut broken = raw_server("fields");
    broken.args = vec!["ends".to_owned()];
    broken.command = "/nowhere/at-all".to_owned();
    let host = |host: valetkey_mcp::McpHostBuilder| host.tool_policy("raw", "*", read_policy());
    let fixture = HostFixture::with_builder([("raw", broken)], host).await;
    set_role(&fixture.session, 'x');
    let message = fixture.call_error("raw__tool").await;
    assert!(message.contains("not found"), "{message}");
    fixture.host.shutdown().await;
}
