//! The limit on narrowed sessions with processes: which of them gives way to another one.

use serde_json::json;
use valetkey_core::AccessScope;
use valetkey_mcp::McpHostBuilder;
use valetkey_mcp::child::Delivery;

use super::sessions::{narrow_session, whoami_for_session};
use super::{access_and_role, host_with_policies, narrowed_pids, set_role, tmp_dir_of_process};
use crate::host_fixture::{HostFixture, fixture_server, pid};
use crate::process::{is_running, wait_until};

/// Waits until a call of `slow` has begun in a process other than `others`, and returns that process.
async fn wait_slow_call(fixture: &HostFixture, others: &[u32]) -> u32 {
    let began = |pid: &u32| !others.contains(pid) && tmp_dir_of_process(*pid).join("go.began").exists();
    wait_until("the call has begun", || narrowed_pids(fixture).iter().any(began)).await;
    narrowed_pids(fixture).into_iter().find(began).unwrap()
}

fn finish_slow_call(pid: u32) {
    std::fs::write(tmp_dir_of_process(pid).join("go"), "").unwrap();
}

#[tokio::test]
async fn narrowed_server_limit_evicts_least_recently_called() {
    let two = |host: McpHostBuilder| host.max_narrowed_sessions(2);
    let fixture = HostFixture::with_builder([("fixture", fixture_server(Delivery::Endpoint))], two).await;
    set_role(&fixture.session, 'x');
    let [first, second, third] = [(); 3].map(|()| narrow_session(&fixture, AccessScope::new()));
    let first_pid = pid(&whoami_for_session(&fixture, &first).await);
    let second_pid = pid(&whoami_for_session(&fixture, &second).await);
    assert_eq!(pid(&whoami_for_session(&fixture, &first).await), first_pid);
    let third_pid = pid(&whoami_for_session(&fixture, &third).await);
    wait_until("the second group was stopped", || !is_running(second_pid)).await;
    let mut pids = narrowed_pids(&fixture);
    pids.sort_unstable();
    let mut expected = [first_pid, third_pid];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert_eq!(pid(&whoami_for_session(&fixture, &first).await), first_pid);
    assert_ne!(pid(&whoami_for_session(&fixture, &second).await), second_pid, "it is started again");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_server_limit_spares_busy_group_called_first() {
    let fixture = host_with_policies(Delivery::Endpoint, |host| host.max_narrowed_sessions(2)).await;
    let view = narrow_session(&fixture, AccessScope::new());
    let call = fixture.call("fixture__slow", json!({"name": "go"}));
    let meanwhile = async {
        let busy = wait_slow_call(&fixture, &[]).await;
        let idle = pid(&fixture.whoami().await);
        whoami_for_session(&fixture, &view).await;
        wait_until("the idle group was stopped", || !is_running(idle)).await;
        assert!(narrowed_pids(&fixture).contains(&busy), "the busy group is still in the pool");
        finish_slow_call(busy);
    };
    let (wrote, ()) = tokio::join!(call, meanwhile);
    assert_eq!(access_and_role(&wrote), "Wx");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_server_limit_of_zero_refuses_calls() {
    let fixture = host_with_policies(Delivery::Endpoint, |host| host.max_narrowed_sessions(0)).await;
    let message = fixture.call_error("fixture__whoami").await;
    assert!(message.contains("busy"), "{message}");
    assert!(narrowed_pids(&fixture).is_empty());
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn narrowed_server_limit_evicts_only_idle_groups() {
    let fixture = host_with_policies(Delivery::Endpoint, |host| host.max_narrowed_sessions(1)).await;
    let reading = pid(&fixture.whoami().await);
    let call = fixture.call("fixture__slow", json!({"name": "go"}));
    let meanwhile = async {
        let busy = wait_slow_call(&fixture, &[reading]).await;
        wait_until("the idle group was stopped", || !is_running(reading)).await;
        let message = fixture.call_error("fixture__whoami").await;
        assert!(message.contains("busy") && message.contains("call again"), "{message}");
        finish_slow_call(busy);
    };
    let (wrote, ()) = tokio::join!(call, meanwhile);
    assert_eq!((access_and_role(&wrote), access_and_role(&fixture.whoami().await)), ("Wx", "Rx"));
    fixture.host.shutdown().await;
}
