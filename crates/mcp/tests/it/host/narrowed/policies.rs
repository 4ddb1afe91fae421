//! Tools under a policy run with only the permissions of that policy, in parallel to other tools.

use futures_util::future::join_all;
use serde_json::json;
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{ErrorKind, SessionContext};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::{McpConfig, McpHost};

use super::{DELIVERIES, call_slow, may, narrowed_pids, play, stage};
use crate::keys::assert_masks_are_whole;
use crate::process::is_running;
use crate::role::{RoleProviderFixture, reading, writing};
use crate::stage::{Stage, fixture, host_environment, mcp_config, pid, raw_server};

#[tokio::test]
async fn tool_policy_has_its_own_process_and_keys() {
    for delivery in DELIVERIES {
        let stage = stage(delivery, |host| host).await;
        let listed = stage.catalog().await;
        assert!(listed.faults.is_empty() && narrowed_pids(&stage).is_empty(), "to list, nothing is narrowed");
        let (reads, writes) = (stage.whoami().await, call_slow(&stage).await);
        assert_eq!((may(&reads), may(&writes), writes["after"] == writes["key"]), ("Rx", "Wx", true));
        let mut known = vec![pid(&reads), pid(&writes)];
        known.sort_unstable();
        let mut narrowed = narrowed_pids(&stage);
        narrowed.sort_unstable();
        assert_eq!(narrowed, known);
        assert!(!known.contains(&stage.pid("fixture").unwrap()), "the plain process has run neither");
        assert_ne!((&reads["home"], &reads["tmp"]), (&writes["home"], &writes["tmp"]));
        assert_eq!(pid(&stage.whoami().await), pid(&reads), "it is not started for each call");
        stage.host.shutdown().await;
        assert!(known.into_iter().all(|pid| !is_running(pid)), "they are stopped with the host");
    }
}

#[tokio::test]
async fn tool_policy_equal_policies_share_credentials() {
    let servers = [("fixture", fixture(Delivery::Endpoint)), ("second", fixture(Delivery::Endpoint))];
    let host = |host: valetkey_mcp::McpHostBuilder| {
        host.tool_policy("fixture", "*", reading()).tool_policy("second", "whoami", reading())
    };
    let stage = Stage::described(servers, host).await;
    play(&stage.session, 'x');
    let (first, second) = (stage.whoami().await, stage.call("second__whoami", json!({})).await);
    assert_eq!((may(&first), &first["key"]), ("Rx", &second["key"]));
    assert_ne!(pid(&first), pid(&second));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn tool_policy_server_uses_its_own_account() {
    let prod: valetkey_core::AccountName = "prod".parse().unwrap();
    let mut second = fixture(Delivery::Env);
    second.account = Some(prod.clone());
    let session = SessionContext::builder()
        .provider(RoleProviderFixture::new('x'))
        .provider_for(prod, RoleProviderFixture::new('p'))
        .build();
    let servers = mcp_config([("first", fixture(Delivery::Env)), ("second", second)]);
    let host = McpHost::builder(&session, servers).environment(host_environment());
    let host = host.tool_policy("first", "*", reading()).tool_policy("second", "*", reading());
    let stage = Stage { host: host.start().await.unwrap(), session, audit: std::sync::Arc::default() };
    for _ in 0..2 {
        assert_eq!(may(&stage.call("first__whoami", json!({})).await), "Rx");
        assert_eq!(may(&stage.call("second__whoami", json!({})).await), "Rp");
    }
    stage.host.shutdown().await;
}

#[tokio::test]
async fn tool_policy_named_tool_overrides_wildcard() {
    let host = |host: valetkey_mcp::McpHostBuilder| {
        host.tool_policy("fixture", "whoami", writing()).tool_policy("fixture", "*", reading())
    };
    let stage = Stage::described([("fixture", fixture(Delivery::Env))], host).await;
    play(&stage.session, 'x');
    assert_eq!(may(&stage.whoami().await), "Wx");
    let told = stage.call("fixture__leak", json!({})).await.to_string();
    assert!(!told.contains("-kept"), "the narrowed credentials are masked too: {told}");
    assert_masks_are_whole(&told);
    assert_eq!(may(&call_slow(&stage).await), "Rx");
    stage.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tool_policy_concurrent_calls_never_mix_credentials() {
    for delivery in DELIVERIES {
        let servers = [("fixture", fixture(delivery)), ("other", fixture(delivery))];
        let policies = |host: valetkey_mcp::McpHostBuilder| {
            host.tool_policy("fixture", "whoami", reading()).tool_policy("other", "*", writing())
        };
        let stage = Stage::described(servers, policies).await;
        play(&stage.session, 'x');
        let lane = async |tool: &str, expected: &str| {
            for _ in 0..25 {
                assert_eq!(may(&stage.call(tool, json!({})).await), expected, "{tool}");
            }
        };
        let lanes = [("fixture__whoami", "Rx"), ("other__whoami", "Wx")].repeat(2);
        join_all(lanes.into_iter().map(|(tool, expected)| lane(tool, expected))).await;
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn tool_policy_not_narrowable_call_is_refused_with_next_step() {
    for delivery in DELIVERIES {
        let stage = stage(delivery, |host| host).await;
        stage.whoami().await;
        for _ in 0..2 {
            stage.session.set_credentials(crate::keys::keys("HAND")).unwrap();
            let told = stage.call_error("fixture__whoami").await;
            assert!(told.contains("set directly") && told.contains("role"), "{told}");
            // No narrowed credentials from before this point remain.
            stage.session.clear();
        }
        stage.session.set_credentials(crate::keys::keys("HAND")).unwrap();
        assert_eq!(stage.call("fixture__echo", json!({"a": 1})).await["echo"]["a"], 1, "others go on");
        stage.session.clear();
        let told = stage.call_error("fixture__whoami").await;
        assert!(told.contains("set_aws_credentials_context"), "{told}");
        let not_narrowable = ScriptedProvider::new([]);
        stage.session.set_provider(not_narrowable).unwrap();
        let told = stage.call_error("fixture__whoami").await;
        assert!(told.contains("cannot be narrowed") && told.contains("default"), "{told}");
        let refused = stage.audit.records().iter().filter(|record| record.event == AuditEvent::Deny).count();
        assert_eq!(refused, 4, "each refusal is on record");
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn tool_policy_for_unknown_tool_is_reported_in_catalog() {
    let host = |host: valetkey_mcp::McpHostBuilder| host.tool_policy("fixture", "who_am_i", reading());
    let stage = Stage::described([("fixture", fixture(Delivery::Endpoint))], host).await;
    let faults = stage.catalog().await.faults;
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].server, "fixture");
    assert!(faults[0].error.message().contains("who_am_i") && faults[0].error.next_step().is_some());
    stage.host.shutdown().await;
}

async fn start_with_policy(config: McpConfig, server: &str) -> valetkey_core::Result<McpHost> {
    let session = SessionContext::builder().build();
    let host = McpHost::builder(&session, config).environment(host_environment());
    host.tool_policy(server, "*", reading()).start().await
}

#[tokio::test]
async fn tool_policy_without_effect_is_refused() {
    for (server, says) in [("fixtures", "not configured"), ("keyless", "no credentials")] {
        let servers =
            mcp_config([("fixture", fixture(Delivery::Endpoint)), ("keyless", fixture(Delivery::None))]);
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
    let host = |host: valetkey_mcp::McpHostBuilder| host.tool_policy("raw", "*", reading());
    let stage = Stage::described([("raw", broken)], host).await;
    play(&stage.session, 'x');
    let told = stage.call_error("raw__tool").await;
    assert!(told.contains("not found"), "{told}");
    stage.host.shutdown().await;
}
