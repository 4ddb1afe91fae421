//! What a reader is told: four fields, always, in the spelling that every SDK reads.

use std::time::Duration;

use serde_json::json;
use valetkey_core::{Clock, Credentials, Expiry};
use valetkey_mcp::endpoint::Leash;

use super::client::{Desk, ask};
use crate::keys::{keys, long_lived, secret, temporary, token};

#[tokio::test]
async fn a_temporary_set_is_told_with_four_fields_on_a_leash() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    let answer = desk.ask().await;
    assert_eq!(answer.status, 200);
    let told = json!({
        "AccessKeyId": "ASIA000000000000AAAA",
        "SecretAccessKey": secret("AAAA"),
        "Token": token("AAAA"),
        // The clock stands at noon; the leash is four and a half minutes.
        "Expiration": "2026-11-21T12:04:30Z",
    });
    assert_eq!(answer.body, told);
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
}

#[tokio::test]
async fn the_account_is_told_when_it_is_known() {
    let desk = Desk::new().await;
    let parts = keys("AAAA");
    let set = Credentials::builder(parts.access_key_id().clone(), secret("AAAA").into());
    let set = set.account_id(Some("111111111111".parse().unwrap())).build().unwrap();
    desk.session.set_credentials(set).unwrap();
    assert_eq!(desk.ask().await.body["AccountId"], "111111111111");
}

#[tokio::test]
async fn long_lived_keys_have_an_empty_token_and_the_leash_for_expiry() {
    let desk = Desk::new().await;
    desk.session.set_credentials(long_lived("AAAA")).unwrap();
    let answer = desk.ask().await;
    assert_eq!(answer.body["Token"], "");
    assert_eq!(answer.body["Expiration"], "2026-11-21T12:04:30Z");
}

#[tokio::test]
async fn the_real_expiry_is_told_when_it_is_nearer_than_the_leash() {
    let desk = Desk::new().await;
    let until = desk.clock.now() + Duration::from_millis(90_900);
    desk.session.set_credentials(temporary("AAAA", until)).unwrap();
    assert_eq!(desk.ask().await.body["Expiration"], "2026-11-21T12:01:30Z");
}

#[tokio::test]
async fn without_a_leash_the_real_expiry_is_told() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    let account = desk.session.account(desk.session.default_account()).unwrap();
    let grant = desk.endpoint.grant(account, "reader", Leash::Off);
    assert_eq!(ask(&grant).await.body["Expiration"], "2026-11-21T13:00:00Z");
    desk.session.set_credentials(long_lived("AAAA")).unwrap();
    desk.grant.settle();
    assert_ne!(
        Expiry::parse("Expiration", ask(&grant).await.body["Expiration"].as_str().unwrap()).unwrap(),
        Expiry::Never
    );
}

#[tokio::test]
async fn the_leash_moves_with_the_clock() {
    let desk = Desk::new().await;
    desk.set("AAAA");
    desk.clock.advance(Duration::from_secs(60));
    assert_eq!(desk.ask().await.body["Expiration"], "2026-11-21T12:05:30Z");
}
