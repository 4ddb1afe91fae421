//! The response to a client: always four fields, in the spelling that every SDK reads.

use std::time::Duration;

use serde_json::json;
use valetkey_core::{Clock, Credentials, Expiry};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use super::fixture::{EndpointFixture, fetch_with_grant};
use crate::keys::{keys, keys_expiring_at, long_lived_keys, secret_of_key, token_of_key};

#[tokio::test]
async fn response_temporary_credentials_have_four_fields() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let response = fixture.fetch().await;
    assert_eq!(response.status, 200);
    let expected = json!({
        "AccessKeyId": "ASIA000000000000AAAA",
        "SecretAccessKey": secret_of_key("AAAA"),
        "Token": token_of_key("AAAA"),
        // The clock is at noon, and the advertised expiry is limited to four and a half minutes.
        "Expiration": "2026-11-21T12:04:30Z",
    });
    assert_eq!(response.body, expected);
    assert!(response.head.contains("content-type: application/json"), "{}", response.head);
    assert!(response.head.contains("cache-control: no-store"), "{}", response.head);
    assert!(response.head.contains("connection: close"), "{}", response.head);
}

#[tokio::test]
async fn response_contains_known_account_id() {
    let fixture = EndpointFixture::new().await;
    let template = keys("AAAA");
    let credentials = Credentials::builder(template.access_key_id().clone(), secret_of_key("AAAA").into());
    let credentials = credentials.account_id(Some("111111111111".parse().unwrap())).build().unwrap();
    fixture.session.set_credentials(credentials).unwrap();
    assert_eq!(fixture.fetch().await.body["AccountId"], "111111111111");
}

#[tokio::test]
async fn response_long_lived_keys_have_empty_token_and_expiry() {
    let fixture = EndpointFixture::new().await;
    fixture.session.set_credentials(long_lived_keys("AAAA")).unwrap();
    let response = fixture.fetch().await;
    assert_eq!(response.body["Token"], "");
    assert_eq!(response.body["Expiration"], "2026-11-21T12:04:30Z");
}

#[tokio::test]
async fn response_actual_expiry_before_limit_is_returned() {
    let fixture = EndpointFixture::new().await;
    let expires_at = fixture.clock.now() + Duration::from_millis(90_900);
    fixture.session.set_credentials(keys_expiring_at("AAAA", expires_at)).unwrap();
    assert_eq!(fixture.fetch().await.body["Expiration"], "2026-11-21T12:01:30Z");
}

#[tokio::test]
async fn response_advertised_expiry_actual_returns_actual_expiry() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let account = fixture.session.account(fixture.session.default_account()).unwrap();
    let grant = fixture.endpoint.grant(account, "reader", AdvertisedExpiry::Actual);
    assert_eq!(fetch_with_grant(&grant).await.body["Expiration"], "2026-11-21T13:00:00Z");
    fixture.session.set_credentials(long_lived_keys("AAAA")).unwrap();
    fixture.grant.end_burst();
    assert_ne!(
        Expiry::parse("Expiration", fetch_with_grant(&grant).await.body["Expiration"].as_str().unwrap())
            .unwrap(),
        Expiry::Never
    );
}

#[tokio::test]
async fn response_advertised_expiry_follows_the_clock() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(fixture.fetch().await.body["Expiration"], "2026-11-21T12:05:30Z");
}
