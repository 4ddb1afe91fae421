//! The redactor knows credentials from the moment a grant serves them, and the grant's id and token from its
//! creation.

use std::sync::Arc;

use valetkey_core::Expiry;
use valetkey_core::testing::Canary;
use valetkey_mcp::Redactor;
use valetkey_mcp::endpoint::{AdvertisedExpiry, Grant};

use super::fixture::{EndpointFixture, fetch_with_grant};
use crate::keys::assert_no_secret_part;

fn grant_with_redactor(fixture: &EndpointFixture, redactor: &Arc<Redactor>) -> Grant {
    let account = fixture.session.account(fixture.session.default_account()).unwrap();
    fixture.endpoint.with_redactor(redactor).grant(account, "reader", AdvertisedExpiry::default())
}

#[tokio::test]
async fn redactor_credentials_read_through_grant_are_masked() {
    let (fixture, redactor, canary) =
        (EndpointFixture::new().await, Arc::new(Redactor::default()), Canary::new());
    let grant = grant_with_redactor(&fixture, &redactor);
    fixture.session.set_credentials(canary.credentials(Expiry::Never).unwrap()).unwrap();
    let response = fetch_with_grant(&grant).await.body.to_string();
    assert_eq!(canary.found_in(&response).len(), 3);
    let secrets = canary.to_json();
    let secret = |field: &str| secrets[field].as_str().unwrap().to_owned();
    let expected = response.replace(&secret("secret_access_key"), "[redacted]");
    assert_eq!(redactor.mask(&response), expected.replace(&secret("session_token"), "[redacted]"));
}

#[tokio::test]
async fn redactor_grant_url_and_token_are_masked_until_drop() {
    let (fixture, redactor) = (EndpointFixture::new().await, Arc::new(Redactor::default()));
    let grant = grant_with_redactor(&fixture, &redactor);
    let environment = format!("{} {}", grant.url(), grant.expose_token());
    let masked = redactor.mask(&environment);
    assert!(masked.ends_with("/credentials/[redacted] [redacted]"), "{masked}");
    assert_no_secret_part(&masked, grant.expose_token());
    drop(grant);
    assert_eq!(redactor.mask(&environment), environment);
}
