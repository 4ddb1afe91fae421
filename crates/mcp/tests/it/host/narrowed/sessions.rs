//! Calls for a session that was narrowed from the host's.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use valetkey_core::{AccessScope, AccountName, SessionContext};
use valetkey_mcp::child::{Delivery, SessionDir};

use super::{DELIVERIES, access_and_role, narrowed_pids, set_role};
use crate::host_fixture::{HostFixture, fixture_server, pid};
use crate::keys::keys;
use crate::process::{is_running, wait_until};
use crate::role_fixture::{RoleProviderFixture, read_policy, write_policy};

async fn call_for_session(fixture: &HostFixture, session: &SessionContext, tool: &str) -> Value {
    fixture.host.call_for(session, tool, None, &CancellationToken::new()).await.unwrap()
}

pub(super) async fn whoami_for_session(fixture: &HostFixture, session: &SessionContext) -> Value {
    let result = call_for_session(fixture, session, "fixture__whoami").await;
    assert_ne!(result["isError"], json!(true), "{result}");
    result["structuredContent"].clone()
}

pub(super) fn narrow_session(fixture: &HostFixture, scope: AccessScope) -> SessionContext {
    fixture.session.narrow(scope).unwrap()
}

#[tokio::test]
async fn call_for_narrowed_session_uses_its_credentials() {
    for delivery in DELIVERIES {
        let fixture = HostFixture::without_credentials([("fixture", fixture_server(delivery))]).await;
        set_role(&fixture.session, 'x');
        let (reads, writes) = (
            narrow_session(&fixture, AccessScope::new().policy(read_policy())),
            narrow_session(&fixture, AccessScope::new().policy(write_policy())),
        );
        let results = tokio::join!(
            whoami_for_session(&fixture, &fixture.session),
            whoami_for_session(&fixture, &reads),
            whoami_for_session(&fixture, &writes),
            fixture.whoami()
        );
        let seen = [&results.0, &results.1, &results.2, &results.3].map(access_and_role);
        assert_eq!(seen, ["Ax", "Rx", "Wx", "Ax"]);
        assert_eq!(pid(&results.0), pid(&results.3), "the host's own session has the plain process");
        assert_ne!(pid(&results.1), pid(&results.2));
        reads.close();
        wait_until("its process is gone", || !is_running(pid(&results.1))).await;
        let refused = call_for_session(&fixture, &reads, "fixture__whoami").await;
        assert_eq!(refused["structuredContent"]["error"]["code"], "closed");
        assert_eq!(access_and_role(&whoami_for_session(&fixture, &writes).await), "Wx", "the others go on");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn call_for_narrowed_session_applies_tool_policy() {
    let host = |host: valetkey_mcp::McpHostBuilder| host.tool_policy("fixture", "whoami", read_policy());
    let fixture = HostFixture::with_builder([("fixture", fixture_server(Delivery::Env))], host).await;
    set_role(&fixture.session, 'x');
    let view = narrow_session(&fixture, AccessScope::new());
    assert_eq!(access_and_role(&whoami_for_session(&fixture, &view).await), "Rx");
    let writes = narrow_session(&fixture, AccessScope::new().policy(write_policy()));
    let refused = call_for_session(&fixture, &writes, "fixture__whoami").await;
    assert_eq!(refused["isError"], true, "nothing is in both: {refused}");
    assert!(refused["content"][0]["text"].as_str().unwrap().contains("nothing"), "{refused}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_session_dropped_is_closed_by_host() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::Endpoint))]).await;
    set_role(&fixture.session, 'x');
    let session = narrow_session(&fixture, AccessScope::new().policy(read_policy()));
    let account = session.account(session.default_account()).unwrap();
    let gone = pid(&whoami_for_session(&fixture, &session).await);
    drop(session);
    assert!(account.is_closed());
    wait_until("its process is gone", || !is_running(gone) && narrowed_pids(&fixture).is_empty()).await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_session_without_account_is_refused() {
    let (prod, staging): (AccountName, AccountName) = ("prod".parse().unwrap(), "staging".parse().unwrap());
    let mut server = fixture_server(Delivery::Endpoint);
    server.account = Some(prod.clone());
    let session = SessionContext::builder()
        .provider_for(prod.clone(), RoleProviderFixture::new('p'))
        .provider_for(staging.clone(), RoleProviderFixture::new('s'))
        .build();
    let servers =
        crate::host_fixture::mcp_config([("fixture", server), ("plain", fixture_server(Delivery::Endpoint))]);
    let host = valetkey_mcp::McpHost::builder(&session, servers)
        .environment(crate::host_fixture::host_environment());
    let fixture =
        HostFixture { host: host.start().await.unwrap(), session, audit: std::sync::Arc::default() };
    let only = narrow_session(&fixture, AccessScope::new().accounts([staging]));
    let refused = call_for_session(&fixture, &only, "fixture__whoami").await;
    assert_eq!(refused["structuredContent"]["error"]["code"], "not_configured", "{refused}");
    assert_eq!(
        access_and_role(&call_for_session(&fixture, &only, "plain__whoami").await["structuredContent"]),
        "As"
    );
    assert_eq!(access_and_role(&whoami_for_session(&fixture, &fixture.session).await), "Ap");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn no_delivery_server_is_shared_by_narrowed_sessions() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::None))]).await;
    set_role(&fixture.session, 'x');
    let session = narrow_session(&fixture, AccessScope::new().policy(read_policy()));
    let answer = whoami_for_session(&fixture, &session).await;
    assert_eq!((&answer["key"], pid(&answer)), (&json!("none"), fixture.pid("fixture").unwrap()));
    session.close();
    assert_eq!(call_for_session(&fixture, &session, "fixture__whoami").await["isError"], true);
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_session_has_the_region_of_its_account() {
    for delivery in DELIVERIES {
        let fixture = HostFixture::without_credentials([("fixture", fixture_server(delivery))]).await;
        let prod: AccountName = "prod".parse().unwrap();
        let credentials = keys("PROD").with_region("eu-west-3".parse().unwrap());
        fixture.session.for_account(&prod).set_credentials(credentials).unwrap();
        let view = narrow_session(&fixture, AccessScope::new().accounts([prod]));
        let answer = whoami_for_session(&fixture, &view).await;
        assert_eq!(answer["region"], "eu-west-3");
        let config = answer["config"].as_str().unwrap();
        assert!(config.starts_with("[default]\nregion = eu-west-3\n"), "{config}");
        let directory = SessionDir::create(Some(&"eu-west-3".parse().unwrap())).unwrap();
        let file = match delivery {
            Delivery::Env => directory.env_keys_config_file(),
            _ => directory.config_file(),
        };
        assert_eq!(config, std::fs::read_to_string(file).unwrap());
        fixture.host.shutdown().await;
    }
}
