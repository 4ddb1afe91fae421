//! What a gateway reports of its store.

use serde_json::json;
use valetkey_mcp::http::SharedSessionsStatus;

use super::{Fleet, create, own_key};
use crate::http::fixture::{ALICE, BOB};

/// Returns the status of a node as soon as it is as expected.
async fn until_status(
    fleet: &Fleet,
    node: usize,
    expected: impl Fn(&SharedSessionsStatus) -> bool,
) -> SharedSessionsStatus {
    loop {
        let status = fleet.shared[node].status();
        if expected(&status) {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn status_reports_operations_sessions_and_refusals() {
    let fleet = Fleet::start(2).await;
    let [mut a, mut b] = <[_; 2]>::try_from(fleet.clients().await).ok().unwrap();
    a.set("AAAA").await;
    assert_eq!(own_key(&mut b).await, "AAAA");
    let mut mallory = fleet.nodes[1].modern(BOB);
    mallory.handle.clone_from(&a.handle);
    mallory.call_error("get_aws_credentials_context", json!({})).await;

    let [first, second] = [&fleet.shared[0], &fleet.shared[1]].map(|shared| shared.status());
    assert_eq!((first.unreachable_for, first.open_sessions, second.open_sessions), (None, 1, 1));
    assert_eq!((first.operations["create"].calls, first.operations["save"].calls), (1, 1));
    assert!(!second.operations.contains_key("save") && second.operations["load"].calls >= 2);
    assert!(first.operations["create"].errors.is_empty() && first.refused_records.is_empty());
    assert_eq!(second.refused_records["rejected"], 1);

    let handle = json!({"credential_session": a.handle.clone().unwrap()});
    fleet.nodes[0].modern(ALICE).call_ok("close_credential_session", handle).await;
    for node in 0..2 {
        until_status(&fleet, node, |status| status.open_sessions == 0).await;
    }
    fleet.stop().await;
}

#[tokio::test]
async fn status_reports_an_outage_until_it_ends() {
    let fleet = Fleet::start(1).await;
    create(&mut fleet.nodes[0].modern(ALICE)).await;
    fleet.store.set_down(true);
    let down = until_status(&fleet, 0, |status| status.unreachable_for.is_some()).await;
    let is_counted =
        |status: &SharedSessionsStatus| status.operations["events_since"].errors.contains_key("unavailable");
    until_status(&fleet, 0, is_counted).await;
    let later = until_status(&fleet, 0, |status| status.unreachable_for > down.unreachable_for).await;
    assert_eq!(later.open_sessions, 1);
    fleet.store.set_down(false);
    until_status(&fleet, 0, |status| status.unreachable_for.is_none()).await;
    fleet.stop().await;
}
