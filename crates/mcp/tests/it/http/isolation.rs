//! Many clients at once: every call runs with the credentials of its own session.

use futures_util::future::join_all;
use serde_json::json;

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, BOB, HttpGatewayFixture};

const CALLS: usize = 25;

/// Sets, calls and clears in one session, whose keys no other session has.
async fn use_session(mut client: HttpClientFixture, name: &str) {
    client.handle = Some(client.create_session().await);
    client.set(name).await;
    for round in 0..CALLS {
        assert_eq!(client.whoami().await.0, name, "{round}");
        if round == CALLS / 2 {
            client.call_ok("clear_credential_context", json!({})).await;
            client.call_error("fixture__whoami", json!({})).await;
            client.set(name).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_two_principals_stay_isolated() {
    let gateway = HttpGatewayFixture::with_server().await;
    let names = ["AAAA", "BBBB", "CCCC", "DDDD"];
    let sessions = names.iter().enumerate().map(|(n, name)| {
        let token = if n % 2 == 0 { ALICE } else { BOB };
        use_session(gateway.modern(token), name)
    });
    join_all(sessions).await;
    gateway.stop().await;
}
