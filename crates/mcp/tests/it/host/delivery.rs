//! How credentials, their rotation and their clearing reach a running server.

use serde_json::json;
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_core::{Error, ErrorKind};
use valetkey_mcp::child::Delivery;

use crate::keys::keys;
use crate::process::{is_running, wait_until};
use crate::stage::{Stage, fixture, pid};

#[tokio::test]
async fn call_without_credentials_names_set_credentials_tool() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let stage = Stage::without_credentials([("fixture", fixture(delivery))]).await;
        assert!(stage.catalog().await.tools.iter().any(|tool| tool.name == "fixture__whoami"));
        let told = stage.call_error("fixture__whoami").await;
        assert!(told.contains("set_aws_credentials_context"), "{told}");
        let denied = stage.audit.records().iter().any(|record| record.event == AuditEvent::Deny);
        assert!(denied, "the refusal is on record");
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn endpoint_delivery_renewal_keeps_the_process() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Endpoint))]).await;
    stage.catalog().await;
    let listed = stage.pid("fixture").unwrap();
    let account = stage.session.default_account().clone();
    let script = ["AAAA", "BBBB", "CCCC"].map(|name| Script::Answer(keys(name)));
    stage.session.for_account(&account).set_provider(ScriptedProvider::new(script)).unwrap();
    assert_eq!(stage.key_and_pid().await, ("AAAA".to_owned(), listed));
    for name in ["BBBB", "CCCC"] {
        stage.session.for_account(&account).refresh().await.unwrap();
        assert_eq!(stage.key_and_pid().await, (name.to_owned(), listed));
    }
    assert_eq!(stage.whoami().await["source"], "endpoint");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_other_credentials_replace_the_process() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let account = stage.session.default_account().clone();
    let mut pids = vec![stage.key_and_pid().await.1];
    let mut expect = async |name: &str| {
        let (key, pid) = stage.key_and_pid().await;
        assert_eq!(key, name);
        assert!(!pids.contains(&pid), "{name} reached a process that had other credentials");
        pids.push(pid);
    };
    stage.set("BBBB");
    expect("BBBB").await;
    stage.session.clear();
    stage.set("CCCC");
    expect("CCCC").await;
    stage.session.clear();
    stage
        .session
        .for_account(&account)
        .set_provider(ScriptedProvider::new([Script::Answer(keys("DDDD"))]))
        .unwrap();
    expect("DDDD").await;
    stage
        .session
        .for_account(&account)
        .set_provider(ScriptedProvider::new([Script::Answer(keys("EEEE"))]))
        .unwrap();
    expect("EEEE").await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_switch_keeps_process_that_read_nothing() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    stage.call("fixture__echo", json!({})).await;
    let before = stage.pid("fixture").unwrap();
    stage.set("BBBB");
    assert_eq!(stage.key_and_pid().await, ("BBBB".to_owned(), before));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_clear_stops_process_that_read_keys() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let (_, before) = stage.key_and_pid().await;
    stage.session.clear();
    wait_until("the process is gone", || !is_running(before)).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn set_other_account_does_not_interrupt_a_call() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let stage = Stage::without_credentials([("fixture", fixture(delivery))]).await;
        let account = stage.session.default_account().clone();
        let script = ["AAAA", "BBBB"].map(|name| Script::Answer(keys(name)));
        stage.session.for_account(&account).set_provider(ScriptedProvider::new(script)).unwrap();
        let before = stage.whoami().await;
        let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
        let call = stage.call("fixture__slow", json!({"name": "go"}));
        let set_another = async {
            wait_until("the call has begun", || folder.join("go.began").exists()).await;
            stage.session.for_account(&"other".parse().unwrap()).set_credentials(keys("OTHR")).unwrap();
            // The supervisor has handled the change once it has started the replacement.
            let (key, after) = stage.key_and_pid().await;
            assert_eq!((key.as_str(), after == pid(&before)), ("BBBB", false));
            std::fs::write(folder.join("go"), "").unwrap();
        };
        let (finished, ()) = tokio::join!(call, set_another);
        assert_eq!((&finished["key"], pid(&finished)), (&json!("AAAA"), pid(&before)));
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn env_delivery_clear_and_set_kills_the_old_process() {
    let stage = Stage::holding("AAAA", Delivery::Env).await;
    let before = stage.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = stage.call_error_with("fixture__slow", json!({"name": "never"}));
    let clear = async {
        wait_until("the call has begun", || folder.join("never.began").exists()).await;
        stage.session.clear();
        stage.set("BBBB");
    };
    let (failure, ()) = tokio::join!(call, clear);
    assert!(failure.contains("ended during the call"), "{failure}");
    assert_eq!(stage.key_and_pid().await.0, "BBBB");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_other_region_restarts_the_server() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let (_, before) = stage.key_and_pid().await;
    stage.session.set_credentials(keys("BBBB").with_region("us-west-2".parse().unwrap())).unwrap();
    let answer = stage.whoami().await;
    assert_eq!((&answer["key"], &answer["region"]), (&json!("BBBB"), &json!("us-west-2")));
    assert_ne!(pid(&answer), before);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_clear_refuses_calls_until_set() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let (_, pid) = stage.key_and_pid().await;
    stage.session.clear();
    let told = stage.call_error("fixture__whoami").await;
    assert!(told.contains("set_aws_credentials_context"), "{told}");
    stage.set("BBBB");
    let (key, after) = stage.key_and_pid().await;
    assert_eq!((key.as_str(), after == pid), ("BBBB", false));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_delivery_clear_affects_call_in_progress() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let folder = stage.whoami().await["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = stage.call("fixture__slow", json!({"name": "go"}));
    let clear = async {
        wait_until("the call has begun", || folder.join("go.began").exists()).await;
        stage.session.clear();
        std::fs::write(folder.join("go"), "").unwrap();
    };
    let (began, ()) = tokio::join!(call, clear);
    assert_eq!((&began["key"], &began["after"]), (&json!("AAAA"), &json!("none")));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_rotation_replaces_the_process() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Env))]).await;
    stage.catalog().await;
    let listed = stage.pid("fixture").unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{listed}/environ")).unwrap();
    assert!(
        environment.contains("AWS_REGION=") && !environment.contains("AWS_ACCESS_KEY_ID"),
        "{environment}"
    );

    stage.set("AAAA");
    let (key, first) = stage.key_and_pid().await;
    assert_eq!((key.as_str(), first == listed), ("AAAA", false));
    stage.set("BBBB");
    let (key, second) = stage.key_and_pid().await;
    assert_eq!((key.as_str(), second == first), ("BBBB", false));
    assert_eq!(stage.whoami().await["source"], "environment");
    wait_until("the replaced process is gone", || !is_running(first)).await;
    let rotated = stage.audit.records().iter().filter(|record| record.event == AuditEvent::Rotate).count();
    assert_eq!(rotated, 2, "one for each replacement");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_first_fetch_is_not_a_rotation() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Env))]).await;
    let account = stage.session.default_account().clone();
    stage
        .session
        .for_account(&account)
        .set_provider(ScriptedProvider::new([Script::Answer(keys("AAAA"))]))
        .unwrap();
    stage.catalog().await;
    let listed = stage.pid("fixture").unwrap();
    assert_eq!(stage.key_and_pid().await, ("AAAA".to_owned(), listed));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_rotation_lets_call_in_progress_finish() {
    let stage = Stage::holding("AAAA", Delivery::Env).await;
    let before = stage.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = stage.call("fixture__slow", json!({"name": "go"}));
    let rotate = async {
        wait_until("the call has begun", || folder.join("go.began").exists()).await;
        stage.set("BBBB");
        let (key, pid_after) = stage.key_and_pid().await;
        assert_eq!(key, "BBBB");
        assert_ne!(pid_after, pid(&before));
        assert!(is_running(pid(&before)), "the old process has a call to finish");
        std::fs::write(folder.join("go"), "").unwrap();
    };
    let (began, ()) = tokio::join!(call, rotate);
    assert_eq!((&began["key"], pid(&began)), (&json!("AAAA"), pid(&before)));
    wait_until("the old process is gone", || !is_running(pid(&before))).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_clear_kills_process_during_call() {
    let stage = Stage::holding("AAAA", Delivery::Env).await;
    let before = stage.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = stage.call_error_with("fixture__slow", json!({"name": "never"}));
    let clear = async {
        wait_until("the call has begun", || folder.join("never.began").exists()).await;
        stage.session.clear();
    };
    let (told, ()) = tokio::join!(call, clear);
    assert!(told.contains("ended during the call"), "{told}");
    wait_until("the process is gone", || !is_running(pid(&before))).await;
    assert!(stage.call_error("fixture__whoami").await.contains("set_aws_credentials_context"));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn env_delivery_clear_kills_draining_process() {
    let stage = Stage::holding("AAAA", Delivery::Env).await;
    let before = stage.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = stage.call_error_with("fixture__slow", json!({"name": "never"}));
    let rotate_and_clear = async {
        wait_until("the call has begun", || folder.join("never.began").exists()).await;
        stage.set("BBBB");
        assert_eq!(stage.key_and_pid().await.0, "BBBB");
        assert!(is_running(pid(&before)));
        stage.session.clear();
    };
    let (told, ()) = tokio::join!(call, rotate_and_clear);
    assert!(told.contains("ended during the call"), "{told}");
    wait_until("the old process is gone", || !is_running(pid(&before))).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn no_delivery_server_is_called_without_credentials() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::None))]).await;
    let (key, before) = stage.key_and_pid().await;
    assert_eq!(key, "none");
    stage.set("AAAA");
    assert_eq!(stage.key_and_pid().await, ("none".to_owned(), before));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn call_with_denied_role_is_refused() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let stage = Stage::without_credentials([("fixture", fixture(delivery))]).await;
        let account = stage.session.default_account().clone();
        let denied = Error::new(ErrorKind::Denied, "the role may not be assumed").with_provider("scripted");
        stage
            .session
            .for_account(&account)
            .set_provider(ScriptedProvider::new([Script::Fail(denied)]))
            .unwrap();
        let told = stage.call_error("fixture__whoami").await;
        assert!(told.contains("may not be assumed") && told.contains("scripted"), "{told}");
        stage.host.shutdown().await;
    }
}
