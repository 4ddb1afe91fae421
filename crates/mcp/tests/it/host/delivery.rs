//! How credentials, their rotation and their clearing reach a running server.

use serde_json::json;
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_core::{Error, ErrorKind};
use valetkey_mcp::child::Delivery;

use crate::host_fixture::{HostFixture, fixture_server, pid};
use crate::keys::keys;
use crate::process::{is_running, wait_until};

#[tokio::test]
async fn call_without_credentials_names_set_credentials_tool() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let fixture = HostFixture::without_credentials([("fixture", fixture_server(delivery))]).await;
        assert!(fixture.catalog().await.tools.iter().any(|tool| tool.name == "fixture__whoami"));
        let message = fixture.call_error("fixture__whoami").await;
        assert!(message.contains("set_aws_credentials_context"), "{message}");
        let denied = fixture.audit.records().iter().any(|record| record.event == AuditEvent::Deny);
        assert!(denied, "the refusal is on record");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn endpoint_delivery_renewal_keeps_the_process() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::Endpoint))]).await;
    fixture.catalog().await;
    let listed = fixture.pid("fixture").unwrap();
    let account = fixture.session.default_account().clone();
    let script = ["AAAA", "BBBB", "CCCC"].map(|name| Script::Answer(keys(name)));
    fixture.session.for_account(&account).set_provider(ScriptedProvider::new(script)).unwrap();
    assert_eq!(fixture.key_and_pid().await, ("AAAA".to_owned(), listed));
    for name in ["BBBB", "CCCC"] {
        fixture.session.for_account(&account).refresh().await.unwrap();
        assert_eq!(fixture.key_and_pid().await, (name.to_owned(), listed));
    }
    assert_eq!(fixture.whoami().await["source"], "endpoint");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_other_credentials_replace_the_process() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let account = fixture.session.default_account().clone();
    let mut pids = vec![fixture.key_and_pid().await.1];
    let mut expect = async |name: &str| {
        let (key, pid) = fixture.key_and_pid().await;
        assert_eq!(key, name);
        assert!(!pids.contains(&pid), "{name} reached a process that had other credentials");
        pids.push(pid);
    };
    fixture.set("BBBB");
    expect("BBBB").await;
    fixture.session.clear();
    fixture.set("CCCC");
    expect("CCCC").await;
    fixture.session.clear();
    fixture
        .session
        .for_account(&account)
        .set_provider(ScriptedProvider::new([Script::Answer(keys("DDDD"))]))
        .unwrap();
    expect("DDDD").await;
    fixture
        .session
        .for_account(&account)
        .set_provider(ScriptedProvider::new([Script::Answer(keys("EEEE"))]))
        .unwrap();
    expect("EEEE").await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_switch_keeps_process_that_read_nothing() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    fixture.call("fixture__echo", json!({})).await;
    let before = fixture.pid("fixture").unwrap();
    fixture.set("BBBB");
    assert_eq!(fixture.key_and_pid().await, ("BBBB".to_owned(), before));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_clear_stops_process_that_read_keys() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let (_, before) = fixture.key_and_pid().await;
    fixture.session.clear();
    wait_until("the process is gone", || !is_running(before)).await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn set_other_account_does_not_interrupt_a_call() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let fixture = HostFixture::without_credentials([("fixture", fixture_server(delivery))]).await;
        let account = fixture.session.default_account().clone();
        let script = ["AAAA", "BBBB"].map(|name| Script::Answer(keys(name)));
        fixture.session.for_account(&account).set_provider(ScriptedProvider::new(script)).unwrap();
        let before = fixture.whoami().await;
        let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
        let call = fixture.call("fixture__slow", json!({"name": "go"}));
        let set_another = async {
            wait_until("the call has begun", || folder.join("go.began").exists()).await;
            fixture.session.for_account(&"other".parse().unwrap()).set_credentials(keys("OTHR")).unwrap();
            // The supervisor has handled the change once it has started the replacement.
            let (key, after) = fixture.key_and_pid().await;
            assert_eq!((key.as_str(), after == pid(&before)), ("BBBB", false));
            std::fs::write(folder.join("go"), "").unwrap();
        };
        let (finished, ()) = tokio::join!(call, set_another);
        assert_eq!((&finished["key"], pid(&finished)), (&json!("AAAA"), pid(&before)));
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn env_delivery_clear_and_set_kills_the_old_process() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Env).await;
    let before = fixture.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = fixture.call_error_with("fixture__slow", json!({"name": "never"}));
    let clear = async {
        wait_until("the call has begun", || folder.join("never.began").exists()).await;
        fixture.session.clear();
        fixture.set("BBBB");
    };
    let (failure, ()) = tokio::join!(call, clear);
    assert!(failure.contains("ended during the call"), "{failure}");
    assert_eq!(fixture.key_and_pid().await.0, "BBBB");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_other_region_restarts_the_server() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let (_, before) = fixture.key_and_pid().await;
    fixture.session.set_credentials(keys("BBBB").with_region("us-west-2".parse().unwrap())).unwrap();
    let answer = fixture.whoami().await;
    assert_eq!((&answer["key"], &answer["region"]), (&json!("BBBB"), &json!("us-west-2")));
    assert_ne!(pid(&answer), before);
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_clear_refuses_calls_until_set() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let (_, pid) = fixture.key_and_pid().await;
    fixture.session.clear();
    let message = fixture.call_error("fixture__whoami").await;
    assert!(message.contains("set_aws_credentials_context"), "{message}");
    fixture.set("BBBB");
    let (key, after) = fixture.key_and_pid().await;
    assert_eq!((key.as_str(), after == pid), ("BBBB", false));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_clear_affects_call_in_progress() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let folder = fixture.whoami().await["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = fixture.call("fixture__slow", json!({"name": "go"}));
    let clear = async {
        wait_until("the call has begun", || folder.join("go.began").exists()).await;
        fixture.session.clear();
        std::fs::write(folder.join("go"), "").unwrap();
    };
    let (began, ()) = tokio::join!(call, clear);
    assert_eq!((&began["key"], &began["after"]), (&json!("AAAA"), &json!("none")));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_rotation_replaces_the_process() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::Env))]).await;
    fixture.catalog().await;
    let listed = fixture.pid("fixture").unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{listed}/environ")).unwrap();
    assert!(
        environment.contains("AWS_REGION=") && !environment.contains("AWS_ACCESS_KEY_ID"),
        "{environment}"
    );

    fixture.set("AAAA");
    let (key, first) = fixture.key_and_pid().await;
    assert_eq!((key.as_str(), first == listed), ("AAAA", false));
    fixture.set("BBBB");
    let (key, second) = fixture.key_and_pid().await;
    assert_eq!((key.as_str(), second == first), ("BBBB", false));
    assert_eq!(fixture.whoami().await["source"], "environment");
    wait_until("the replaced process is gone", || !is_running(first)).await;
    let rotated = fixture.audit.records().iter().filter(|record| record.event == AuditEvent::Rotate).count();
    assert_eq!(rotated, 2, "one for each replacement");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_first_fetch_is_not_a_rotation() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::Env))]).await;
    let account = fixture.session.default_account().clone();
    fixture
        .session
        .for_account(&account)
        .set_provider(ScriptedProvider::new([Script::Answer(keys("AAAA"))]))
        .unwrap();
    fixture.catalog().await;
    let listed = fixture.pid("fixture").unwrap();
    assert_eq!(fixture.key_and_pid().await, ("AAAA".to_owned(), listed));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_rotation_lets_call_in_progress_finish() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Env).await;
    let before = fixture.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = fixture.call("fixture__slow", json!({"name": "go"}));
    let rotate = async {
        wait_until("the call has begun", || folder.join("go.began").exists()).await;
        fixture.set("BBBB");
        let (key, pid_after) = fixture.key_and_pid().await;
        assert_eq!(key, "BBBB");
        assert_ne!(pid_after, pid(&before));
        assert!(is_running(pid(&before)), "the old process has a call to finish");
        std::fs::write(folder.join("go"), "").unwrap();
    };
    let (began, ()) = tokio::join!(call, rotate);
    assert_eq!((&began["key"], pid(&began)), (&json!("AAAA"), pid(&before)));
    wait_until("the old process is gone", || !is_running(pid(&before))).await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_clear_kills_process_during_call() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Env).await;
    let before = fixture.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = fixture.call_error_with("fixture__slow", json!({"name": "never"}));
    let clear = async {
        wait_until("the call has begun", || folder.join("never.began").exists()).await;
        fixture.session.clear();
    };
    let (message, ()) = tokio::join!(call, clear);
    assert!(message.contains("ended during the call"), "{message}");
    wait_until("the process is gone", || !is_running(pid(&before))).await;
    assert!(fixture.call_error("fixture__whoami").await.contains("set_aws_credentials_context"));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_clear_kills_draining_process() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Env).await;
    let before = fixture.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = fixture.call_error_with("fixture__slow", json!({"name": "never"}));
    let rotate_and_clear = async {
        wait_until("the call has begun", || folder.join("never.began").exists()).await;
        fixture.set("BBBB");
        assert_eq!(fixture.key_and_pid().await.0, "BBBB");
        assert!(is_running(pid(&before)));
        fixture.session.clear();
    };
    let (message, ()) = tokio::join!(call, rotate_and_clear);
    assert!(message.contains("ended during the call"), "{message}");
    wait_until("the old process is gone", || !is_running(pid(&before))).await;
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn no_delivery_server_is_called_without_credentials() {
    let fixture = HostFixture::without_credentials([("fixture", fixture_server(Delivery::None))]).await;
    let (key, before) = fixture.key_and_pid().await;
    assert_eq!(key, "none");
    fixture.set("AAAA");
    assert_eq!(fixture.key_and_pid().await, ("none".to_owned(), before));
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn call_with_denied_role_is_refused() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let fixture = HostFixture::without_credentials([("fixture", fixture_server(delivery))]).await;
        let account = fixture.session.default_account().clone();
        let denied = Error::new(ErrorKind::Denied, "the role may not be assumed").with_provider("scripted");
        fixture
            .session
            .for_account(&account)
            .set_provider(ScriptedProvider::new([Script::Fail(denied)]))
            .unwrap();
        let message = fixture.call_error("fixture__whoami").await;
        assert!(message.contains("may not be assumed") && message.contains("scripted"), "{message}");
        fixture.host.shutdown().await;
    }
}
