//! The events that a narrowed process follows, and those that end it.

use std::time::Duration;

use valetkey_mcp::child::Delivery;

use super::{DELIVERIES, access_and_role, call_slow, host_with_policies, narrowed_pids, set_role};
use crate::host_fixture::pid;
use crate::process::{is_running, wait_until};

#[tokio::test]
async fn narrowed_server_follows_session_rotation() {
    for delivery in DELIVERIES {
        let fixture = host_with_policies(delivery, |host| host).await;
        let before = fixture.whoami().await;
        set_role(&fixture.session, 'y');
        let after = fixture.whoami().await;
        assert_eq!((access_and_role(&before), access_and_role(&after)), ("Rx", "Ry"));
        assert_ne!(pid(&before), pid(&after), "another provider, another process");
        fixture.session.refresh().await.unwrap();
        assert_eq!(access_and_role(&fixture.whoami().await), "Ry");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn narrowed_server_stops_on_clear_and_close() {
    for delivery in DELIVERIES {
        let fixture = host_with_policies(delivery, |host| host).await;
        let first = pid(&fixture.whoami().await);
        fixture.session.clear();
        wait_until("the process is gone", || !is_running(first)).await;
        fixture.call_error("fixture__whoami").await;
        set_role(&fixture.session, 'y');
        let second = fixture.whoami().await;
        assert_eq!((access_and_role(&second), pid(&second) == first), ("Ry", false));
        fixture.session.close();
        wait_until("the process is gone", || !is_running(pid(&second))).await;
        let message = fixture.call_error("fixture__whoami").await;
        assert!(message.contains("closed"), "{message}");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn narrowed_server_is_killed_with_the_host() {
    let fixture = host_with_policies(Delivery::Endpoint, |host| host).await;
    let narrowed = pid(&fixture.whoami().await);
    drop(fixture.host);
    wait_until("the process is gone", || !is_running(narrowed)).await;
}

#[tokio::test]
async fn narrowed_server_idle_timeout_spares_call_in_progress() {
    for delivery in DELIVERIES {
        let fixture = host_with_policies(delivery, |host| host.narrowed_idle_timeout(Duration::ZERO)).await;
        let first = pid(&fixture.whoami().await);
        wait_until("it was stopped", || narrowed_pids(&fixture).is_empty() && !is_running(first)).await;
        let (reads, writes) = (fixture.whoami().await, call_slow(&fixture).await);
        assert_eq!((access_and_role(&reads), access_and_role(&writes)), ("Rx", "Wx"));
        assert_ne!(pid(&reads), first);
        wait_until("all processes have ended", || {
            narrowed_pids(&fixture).is_empty() && !is_running(pid(&writes))
        })
        .await;
        assert!(!std::path::Path::new(reads["home"].as_str().unwrap()).exists(), "nor its home");
        fixture.host.shutdown().await;
    }
}
