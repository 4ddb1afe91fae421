//! When new credentials are served: not during a burst, and at once if the old ones were revoked or replaced.
//!
//! Time is stopped, so all requests of a test belong to one burst.

use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use super::fixture::{EndpointFixture, fetch_with_grant};

/// Returns an endpoint with a session whose provider issues AAAA, and BBBB on refresh.
async fn rotating_endpoint() -> EndpointFixture {
    let fixture = EndpointFixture::new().await;
    let provider =
        ScriptedProvider::new(["AAAA", "BBBB"].map(|name| Script::Answer(fixture.keys_for_an_hour(name))));
    fixture.session.set_provider(provider).unwrap();
    fixture.session.credentials().await.unwrap();
    fixture
}

async fn refresh_default_account(fixture: &EndpointFixture) {
    fixture.session.refresh().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_burst_gets_the_same_credentials() {
    let fixture = rotating_endpoint().await;
    assert_eq!(fixture.fetch_key().await, "AAAA");
    refresh_default_account(&fixture).await;
    // Three requests, for key, secret and token: parts of different credentials would not match.
    for _ in 0..3 {
        assert_eq!(fixture.fetch_key().await, "AAAA");
    }
}

#[tokio::test(start_paused = true)]
async fn end_burst_returns_new_credentials() {
    let fixture = rotating_endpoint().await;
    assert_eq!(fixture.fetch_key().await, "AAAA");
    refresh_default_account(&fixture).await;
    fixture.grant.end_burst();
    assert_eq!(fixture.fetch_key().await, "BBBB");
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_is_separate_for_each_grant() {
    let fixture = rotating_endpoint().await;
    let account = fixture.session.account(fixture.session.default_account()).unwrap();
    let second = fixture.endpoint.grant(account, "second", AdvertisedExpiry::default());
    assert_eq!(fixture.fetch_key().await, "AAAA");
    refresh_default_account(&fixture).await;
    assert_eq!(fetch_with_grant(&second).await.key_suffix(), "BBBB");
    assert_eq!(fixture.fetch_key().await, "AAAA");
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_manually_set_credentials_are_served_at_once() {
    let fixture = rotating_endpoint().await;
    assert_eq!(fixture.fetch_key().await, "AAAA");
    fixture.set_credentials("CCCC");
    assert_eq!(fixture.fetch_key().await, "CCCC");
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_cleared_credentials_are_not_served() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    assert_eq!(fixture.fetch_key().await, "AAAA");
    fixture.session.clear();
    assert_eq!(fixture.fetch().await.status, 403);
    fixture.set_credentials("BBBB");
    assert_eq!(fixture.fetch_key().await, "BBBB");
}

#[tokio::test(start_paused = true)]
async fn rotation_hold_cleared_and_replaced_serves_replacement() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    assert_eq!(fixture.fetch_key().await, "AAAA");
    fixture.session.clear();
    fixture.set_credentials("BBBB");
    assert_eq!(fixture.fetch_key().await, "BBBB");
}
