//! The events that a narrowed process follows, and those that end it.

use std::time::Duration;

use valetkey_mcp::child::Delivery;

use super::{DELIVERIES, call_slow, may, narrowed_pids, play, stage};
use crate::process::{is_running, wait_until};
use crate::stage::pid;

#[tokio::test]
async fn narrowed_server_follows_session_rotation() {
    for delivery in DELIVERIES {
        let stage = stage(delivery, |host| host).await;
        let before = stage.whoami().await;
        play(&stage.session, 'y');
        let after = stage.whoami().await;
        assert_eq!((may(&before), may(&after)), ("Rx", "Ry"));
        assert_ne!(pid(&before), pid(&after), "another provider, another process");
        stage.session.refresh().await.unwrap();
        assert_eq!(may(&stage.whoami().await), "Ry");
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn narrowed_server_stops_on_clear_and_close() {
    for delivery in DELIVERIES {
        let stage = stage(delivery, |host| host).await;
        let first = pid(&stage.whoami().await);
        stage.session.clear();
        wait_until("the process is gone", || !is_running(first)).await;
        stage.call_error("fixture__whoami").await;
        play(&stage.session, 'y');
        let second = stage.whoami().await;
        assert_eq!((may(&second), pid(&second) == first), ("Ry", false));
        stage.session.close();
        wait_until("the process is gone", || !is_running(pid(&second))).await;
        let told = stage.call_error("fixture__whoami").await;
        assert!(told.contains("closed"), "{told}");
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn narrowed_server_is_killed_with_the_host() {
    let stage = stage(Delivery::Endpoint, |host| host).await;
    let narrowed = pid(&stage.whoami().await);
    drop(stage.host);
    wait_until("the process is gone", || !is_running(narrowed)).await;
}

#[tokio::test]
async fn narrowed_server_idle_timeout_spares_call_in_progress() {
    for delivery in DELIVERIES {
        let stage = stage(delivery, |host| host.narrowed_idle_timeout(Duration::ZERO)).await;
        let first = pid(&stage.whoami().await);
        wait_until("it was stopped", || narrowed_pids(&stage).is_empty() && !is_running(first)).await;
        let (reads, writes) = (stage.whoami().await, call_slow(&stage).await);
        assert_eq!((may(&reads), may(&writes)), ("Rx", "Wx"));
        assert_ne!(pid(&reads), first);
        wait_until("nobody is left", || narrowed_pids(&stage).is_empty() && !is_running(pid(&writes))).await;
        assert!(!std::path::Path::new(reads["home"].as_str().unwrap()).exists(), "nor its home");
        stage.host.shutdown().await;
    }
}
