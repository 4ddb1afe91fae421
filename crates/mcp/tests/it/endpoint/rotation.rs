//! When a new set is told: not in the middle of a burst, and at once when the old one was taken away.
//!
//! Time stands still, so all requests of a test are one burst.

use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use super::client::{EndpointFixture, fetch_with_grant};

/// A desk whose session's provider issues AAAA, and BBBB when it is refreshed.
async fn rotating_endpoint() -> EndpointFixture {
    let desk = EndpointFixture::new().await;
    let provider =
        ScriptedProvider::new(["AAAA", "BBBB"].map(|name| Script::Answer(desk.keys_for_an_hour(name))));
    desk.session.set_provider_for(desk.session.default_account(), provider).unwrap();
    desk.session.credentials().await.unwrap();
    desk
}

async fn refresh_default_account(desk: &EndpointFixture) {
    desk.session.refresh(desk.session.default_account()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_burst_gets_the_same_credentials() {
    let desk = rotating_endpoint().await;
    assert_eq!(desk.fetch_key().await, "AAAA");
    refresh_default_account(&desk).await;
    // Three requests for key, secret and token: parts of two sets would not fit.
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
