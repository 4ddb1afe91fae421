//! When new credentials are served: not during a burst, and at once if the old ones were revoked or replaced.
//!
//! Time is stopped, so all requests of a test belong to one burst.

use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use super::client::{EndpointFixture, fetch_with_grant};

/// Returns an endpoint with a session whose provider issues AAAA, and BBBB on refresh.
async fn rotating_endpoint() -> EndpointFixture {
    let desk = EndpointFixture::new().await;
    let provider =
        ScriptedProvider::new(["AAAA", "BBBB"].map(|name| Script::Answer(desk.keys_for_an_hour(name))));
    desk.session.set_provider(provider).unwrap();
    desk.session.credentials().await.unwrap();
    desk
}

async fn refresh_default_account(desk: &EndpointFixture) {
    desk.session.refresh().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_burst_gets_the_same_credentials() {
    let desk = rotating_endpoint().await;
    assert_eq!(desk.fetch_key().await, "AAAA");
    refresh_default_account(&desk).await;
    // Three requests, for key, secret and token: parts of different credentials would not match.
    for _ in 0..3 {
        assert_eq!(desk.fetch_key().await, "AAAA");
    }
}

#[tokio::test(start_paused = true)]
async fn end_burst_returns_new_credentials() {
    let desk = rotating_endpoint().await;
    assert_eq!(desk.fetch_key().await, "AAAA");
    refresh_default_account(&desk).await;
    desk.grant.end_burst();
    assert_eq!(desk.fetch_key().await, "BBBB");
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_is_separate_for_each_grant() {
    let desk = rotating_endpoint().await;
    let account = desk.session.account(desk.session.default_account()).unwrap();
    let second = desk.endpoint.grant(account, "second", AdvertisedExpiry::default());
    assert_eq!(desk.fetch_key().await, "AAAA");
    refresh_default_account(&desk).await;
    assert_eq!(fetch_with_grant(&second).await.key_suffix(), "BBBB");
    assert_eq!(desk.fetch_key().await, "AAAA");
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_manually_set_credentials_are_served_at_once() {
    let desk = rotating_endpoint().await;
    assert_eq!(desk.fetch_key().await, "AAAA");
    desk.set_credentials("CCCC");
    assert_eq!(desk.fetch_key().await, "CCCC");
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_cleared_credentials_are_not_served() {
    let desk = EndpointFixture::new().await;
    desk.set_credentials("AAAA");
    assert_eq!(desk.fetch_key().await, "AAAA");
    desk.session.clear();
    assert_eq!(desk.fetch().await.status, 403);
    desk.set_credentials("BBBB");
    assert_eq!(desk.fetch_key().await, "BBBB");
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_cleared_and_replaced_serves_replacement() {
    let desk = EndpointFixture::new().await;
    desk.set_credentials("AAAA");
    assert_eq!(desk.fetch_key().await, "AAAA");
    desk.session.clear();
    desk.set_credentials("BBBB");
    assert_eq!(desk.fetch_key().await, "BBBB");
}
