//! How credentials, their rotation and their clearing reach a server that runs.

use serde_json::json;
use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_core::{Error, ErrorKind};
use valetkey_mcp::child::Delivery;

use crate::keys::keys;
use crate::process::{is_running, wait_until};
use crate::stage::{Stage, fixture, pid};

#[tokio::test]
async fn a_server_without_credentials_lists_and_a_call_names_the_tool_to_call_first() {
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
async fn endpoint_renewal_reaches_the_same_process() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Endpoint))]).await;
    stage.catalog().await;
    let listed = stage.pid("fixture").unwrap();
    let account = stage.session.default_account().clone();
    let script = ["AAAA", "BBBB", "CCCC"].map(|name| Script::Answer(keys(name)));
    stage.session.set_provider_for(&account, ScriptedProvider::new(script)).unwrap();
    assert_eq!(stage.key_and_pid().await, ("AAAA".to_owned(), listed));
    for name in ["BBBB", "CCCC"] {
        stage.session.refresh(&account).await.unwrap();
        assert_eq!(stage.key_and_pid().await, (name.to_owned(), listed));
    }
    assert_eq!(stage.whoami().await["source"], "endpoint");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_other_credentials_replace_the_process() {
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
    stage.session.set_provider_for(&account, ScriptedProvider::new([Script::Answer(keys("DDDD"))])).unwrap();
    expect("DDDD").await;
    stage.session.set_provider_for(&account, ScriptedProvider::new([Script::Answer(keys("EEEE"))])).unwrap();
    expect("EEEE").await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_switch_keeps_a_process_that_read_nothing() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    stage.call("fixture__echo", json!({})).await;
    let before = stage.pid("fixture").unwrap();
    stage.set("BBBB");
    assert_eq!(stage.key_and_pid().await, ("BBBB".to_owned(), before));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn endpoint_clear_stops_a_process_that_may_have_cached_keys() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let (_, before) = stage.key_and_pid().await;
    stage.session.clear();
    wait_until("the process is gone", || !is_running(before)).await;
    stage.host.shutdown().await;
}

#[tokio::test]
async fn another_account_that_is_set_lets_a_call_finish() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let stage = Stage::without_credentials([("fixture", fixture(delivery))]).await;
        let account = stage.session.default_account().clone();
        let script = ["AAAA", "BBBB"].map(|name| Script::Answer(keys(name)));
        stage.session.set_provider_for(&account, ScriptedProvider::new(script)).unwrap();
        let before = stage.whoami().await;
        let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
        let call = stage.call("fixture__slow", json!({"name": "go"}));
        let set_another = async {
            wait_until("the call has begun", || folder.join("go.began").exists()).await;
            stage.session.set_credentials_for(&"other".parse().unwrap(), keys("OTHR")).unwrap();
            // The supervisor has handled the change when it has started the replacement.
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
async fn env_clear_kills_the_process_also_when_others_are_set_at_once() {
    let stage = Stage::holding("AAAA", Delivery::Env).await;
    let before = stage.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = stage.failure_of("fixture__slow", json!({"name": "never"}));
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
async fn by_endpoint_credentials_of_another_region_start_the_server_anew_there() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let (_, before) = stage.key_and_pid().await;
    stage.session.set_credentials(keys("BBBB").with_region("us-west-2".parse().unwrap())).unwrap();
    let answer = stage.whoami().await;
    assert_eq!((&answer["key"], &answer["region"]), (&json!("BBBB"), &json!("us-west-2")));
    assert_ne!(pid(&answer), before);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn by_endpoint_clearing_refuses_the_next_call_and_new_credentials_allow_it() {
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
async fn by_endpoint_clearing_reaches_a_call_under_way() {
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
async fn by_environment_there_are_no_keys_before_they_are_set_and_rotation_replaces_the_process() {
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
async fn by_environment_a_provider_that_is_asked_first_at_the_start_does_not_count_as_rotation() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::Env))]).await;
    let account = stage.session.default_account().clone();
    stage.session.set_provider_for(&account, ScriptedProvider::new([Script::Answer(keys("AAAA"))])).unwrap();
    stage.catalog().await;
    let listed = stage.pid("fixture").unwrap();
    assert_eq!(stage.key_and_pid().await, ("AAAA".to_owned(), listed));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn by_environment_a_call_under_way_ends_with_the_old_set_and_new_calls_see_the_new_one() {
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
async fn by_environment_clearing_kills_the_process_and_the_call_under_way() {
    let stage = Stage::holding("AAAA", Delivery::Env).await;
    let before = stage.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = stage.failure_of("fixture__slow", json!({"name": "never"}));
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
async fn by_environment_clearing_also_kills_a_process_that_was_replaced_and_finishes_a_call() {
    let stage = Stage::holding("AAAA", Delivery::Env).await;
    let before = stage.whoami().await;
    let folder = before["tmp"].as_str().map(std::path::PathBuf::from).unwrap();
    let call = stage.failure_of("fixture__slow", json!({"name": "never"}));
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
async fn with_no_delivery_a_server_sees_nothing_and_is_called_without_credentials() {
    let stage = Stage::without_credentials([("fixture", fixture(Delivery::None))]).await;
    let (key, before) = stage.key_and_pid().await;
    assert_eq!(key, "none");
    stage.set("AAAA");
    assert_eq!(stage.key_and_pid().await, ("none".to_owned(), before));
    stage.host.shutdown().await;
}

#[tokio::test]
async fn a_refused_role_is_an_error_and_the_call_does_not_run_as_the_host() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let stage = Stage::without_credentials([("fixture", fixture(delivery))]).await;
        let account = stage.session.default_account().clone();
        let denied = Error::new(ErrorKind::Denied, "the role may not be assumed").with_provider("scripted");
        stage.session.set_provider_for(&account, ScriptedProvider::new([Script::Fail(denied)])).unwrap();
        let told = stage.call_error("fixture__whoami").await;
        assert!(told.contains("may not be assumed") && told.contains("scripted"), "{told}");
        stage.host.shutdown().await;
    }
}
