//! Calls for a session that was narrowed from the host's.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use valetkey_core::{AccessScope, AccountName, SessionContext};
use valetkey_mcp::child::Delivery;

use super::{DELIVERIES, may, narrowed_pids, play};
use crate::keys::keys;
use crate::process::{is_running, wait_until};
use crate::role::{RoleProviderFixture, reading, writing};
use crate::stage::{Stage, fixture, pid};

async fn call_for_session(stage: &Stage, session: &SessionContext, tool: &str) -> Value {
    stage.host.call_for(session, tool, None, &CancellationToken::new()).await.unwrap()
}

pub(super) async fn whoami_for_session(stage: &Stage, session: &SessionContext) -> Value {
    let result = call_for_session(stage, session, "fixture__whoami").await;
    assert_ne!(result["isError"], json!(true), "{result}");
    result["structuredContent"].clone()
}

pub(super) fn narrow_session(stage: &Stage, scope: AccessScope) -> SessionContext {
    stage.session.narrow(scope).unwrap()
}

#[tokio::test]
async fn call_for_narrowed_session_uses_its_credentials() {
    for delivery in DELIVERIES {
        let stage = Stage::without_credentials([("fixture", fixture(delivery))]).await;
        play(&stage.session, 'x');
        let (reads, writes) = (
            narrow_session(&stage, AccessScope::new().policy(reading())),
            narrow_session(&stage, AccessScope::new().policy(writing())),
        );
        let answers = tokio::join!(
            whoami_for_session(&stage, &stage.session),
            whoami_for_session(&stage, &reads),
            whoami_for_session(&stage, &writes),
            stage.whoami()
        );
        let seen = [&answers.0, &answers.1, &answers.2, &answers.3].map(may);
        assert_eq!(seen, ["Ax", "Rx", "Wx", "Ax"]);
        assert_eq!(pid(&answers.0), pid(&answers.3), "the host's own session has the plain process");
        assert_ne!(pid(&answers.1), pid(&answers.2));
        reads.close();
        wait_until("its process is gone", || !is_running(pid(&answers.1))).await;
        let refused = call_for_session(&stage, &reads, "fixture__whoami").await;
        assert_eq!(refused["structuredContent"]["error"]["code"], "closed");
        assert_eq!(may(&whoami_for_session(&stage, &writes).await), "Wx", "the others go on");
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn call_for_narrowed_session_applies_tool_policy() {
    let host = |host: valetkey_mcp::McpHostBuilder| host.tool_policy("fixture", "whoami", reading());
    let stage = Stage::described([("fixture", fixture(Delivery::Env))], host).await;
    play(&stage.session, 'x');
    let view = narrow_session(&stage, AccessScope::new());
    assert_eq!(may(&whoami_for_session(&stage, &view).await), "Rx");
    let writes = narrow_session(&stage, AccessScope::new().policy(writing()));
    let refused = call_for_session(&stage, &writes, "fixture__whoami").await;
    assert_eq!(refused["isError"], true, "nothing is in both: {refused}");
    assert!(refused["content"][0]["text"].as_str().unwrap().contains("nothing"), "{refused}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_session_dropped_is_closed_by_host() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Endpoint))]).await;
    play(&stage.session, 'x');
    let session = narrow_session(&stage, AccessScope::new().policy(reading()));
    let account = session.account(session.default_account()).unwrap();
    let gone = pid(&whoami_for_session(&stage, &session).await);
    drop(session);
    assert!(account.is_closed());
    wait_until("its process is gone", || !is_running(gone) && narrowed_pids(&stage).is_empty()).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_session_without_account_is_refused() {
    let (prod, staging): (AccountName, AccountName) = ("prod".parse().unwrap(), "staging".parse().unwrap());
    let mut server = fixture(Delivery::Endpoint);
    server.account = Some(prod.clone());
    let session = SessionContext::builder()
        .provider_for(prod.clone(), RoleProviderFixture::new('p'))
        .provider_for(staging.clone(), RoleProviderFixture::new('s'))
        .build();
    let servers = crate::stage::mcp_config([("fixture", server), ("plain", fixture(Delivery::Endpoint))]);
    let host =
        valetkey_mcp::McpHost::builder(&session, servers).environment(crate::stage::host_environment());
    let stage = Stage { host: host.start().await.unwrap(), session, audit: std::sync::Arc::default() };
    let only = narrow_session(&stage, AccessScope::new().accounts([staging]));
    let refused = call_for_session(&stage, &only, "fixture__whoami").await;
    assert_eq!(refused["structuredContent"]["error"]["code"], "not_configured", "{refused}");
    assert_eq!(may(&call_for_session(&stage, &only, "plain__whoami").await["structuredContent"]), "As");
    assert_eq!(may(&whoami_for_session(&stage, &stage.session).await), "Ap");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn no_delivery_server_is_shared_by_narrowed_sessions() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::None))]).await;
    play(&stage.session, 'x');
    let session = narrow_session(&stage, AccessScope::new().policy(reading()));
    let answer = whoami_for_session(&stage, &session).await;
    assert_eq!((&answer["key"], pid(&answer)), (&json!("none"), stage.pid("fixture").unwrap()));
    session.close();
    assert_eq!(call_for_session(&stage, &session, "fixture__whoami").await["isError"], true);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_session_has_the_region_of_its_account() {
    for delivery in DELIVERIES {
        let stage = Stage::without_credentials([("fixture", fixture(delivery))]).await;
        let prod: AccountName = "prod".parse().unwrap();
        let credentials = keys("PROD").with_region("eu-west-3".parse().unwrap());
        stage.session.for_account(&prod).set_credentials(credentials).unwrap();
        let view = narrow_session(&stage, AccessScope::new().accounts([prod]));
        let answer = whoami_for_session(&stage, &view).await;
        assert_eq!(answer["region"], "eu-west-3");
        assert_eq!(answer["config"], "[default]\nregion = eu-west-3\n");
        stage.host.shutdown().await;
    }
}
