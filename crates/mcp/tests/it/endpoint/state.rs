//! Sessions that were cleared, closed or never had credentials, and providers that refuse or do not respond.

use std::time::Duration;

use valetkey_core::audit::AuditEvent;
use valetkey_core::testing::{Canary, Script, ScriptedProvider};
use valetkey_core::{AccessScope, Error, ErrorKind, Expiry};
use valetkey_mcp::endpoint::AdvertisedExpiry;

use super::fixture::{EndpointFixture, fetch_with_grant, fetch_with_token, send_request};
use crate::keys::keys_expiring_at;

async fn endpoint_with_failing_provider(kind: ErrorKind) -> EndpointFixture {
    let provider =
        ScriptedProvider::new([Script::Fail(Error::new(kind, "scripted").with_provider("scripted"))]);
    EndpointFixture::with_builder(|session| session.provider(provider)).await
}

#[tokio::test]
async fn endpoint_without_credentials_returns_403_with_next_step() {
    let fixture = EndpointFixture::new().await;
    let response = fixture.fetch().await;
    assert_eq!((response.status, &response.body["code"]), (403, &"not_configured".into()));
    assert!(response.body["message"].as_str().unwrap().contains("set credentials"), "{}", response.body);
    assert_eq!(fixture.count_records(AuditEvent::Deny), 1);
}

#[tokio::test]
async fn endpoint_cleared_session_returns_403() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    assert_eq!(fixture.fetch_key().await, "AAAA");
    fixture.session.clear();
    assert_eq!(fixture.fetch().await.status, 403);
    assert_eq!((fixture.count_records(AuditEvent::Serve), fixture.count_records(AuditEvent::Deny)), (1, 1));
}

#[tokio::test]
async fn endpoint_closed_or_dropped_session_returns_403() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    fixture.session.close();
    let response = fixture.fetch().await;
    assert_eq!((response.status, &response.body["code"]), (403, &"closed".into()));

    let EndpointFixture { session, grant, .. } = EndpointFixture::new().await;
    session.set_credentials(crate::keys::long_lived_keys("BBBB")).unwrap();
    drop(session);
    assert_eq!(fetch_with_grant(&grant).await.status, 403);
}

#[tokio::test]
async fn endpoint_narrowed_session_caps_expiry_then_returns_403() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let child = fixture.session.narrow(AccessScope::new().lifetime(Duration::from_secs(120))).unwrap();
    let account = child.account(child.default_account()).unwrap();
    let grants = [AdvertisedExpiry::default(), AdvertisedExpiry::Actual]
        .map(|leash| fixture.endpoint.grant(account.clone(), "sub-agent", leash));
    for grant in &grants {
        let response = fetch_with_grant(grant).await;
        assert_eq!(
            (response.key_suffix(), &response.body["Expiration"]),
            ("AAAA".into(), &"2026-11-21T12:02:00Z".into())
        );
    }
    fixture.clock.advance(Duration::from_secs(120));
    for grant in &grants {
        let response = fetch_with_grant(grant).await;
        assert_eq!((response.status, &response.body["code"]), (403, &"closed".into()));
    }
    assert_eq!(fixture.fetch_key().await, "AAAA", "the session itself goes on");
}

#[tokio::test]
async fn endpoint_dropped_grant_equals_unknown_grant() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    let (address, headers) = (fixture.address(), fixture.headers());
    let (_, path) = super::fixture::address_and_path(&fixture.grant.url());
    let never = send_request(&address, "GET /credentials/x HTTP/1.1", &headers).await;
    drop(fixture.grant);
    let gone = send_request(&address, &format!("GET {path} HTTP/1.1"), &headers).await;
    assert_eq!((gone.status, gone.body), (never.status, never.body));
}

#[tokio::test]
async fn endpoint_provider_denial_returns_400() {
    for kind in [ErrorKind::Denied, ErrorKind::Invalid, ErrorKind::InteractionRequired] {
        assert_eq!(endpoint_with_failing_provider(kind).await.fetch().await.status, 400, "{kind:?}");
    }
}

#[tokio::test]
async fn endpoint_provider_unavailable_returns_503() {
    for kind in [ErrorKind::Unavailable, ErrorKind::TimedOut, ErrorKind::Throttled, ErrorKind::Internal] {
        assert_eq!(endpoint_with_failing_provider(kind).await.fetch().await.status, 503, "{kind:?}");
    }
}

#[tokio::test]
async fn endpoint_expired_credentials_return_503() {
    let fixture = EndpointFixture::new().await;
    fixture.set_credentials("AAAA");
    fixture.clock.advance(Duration::from_secs(3600));
    let response = fixture.fetch().await;
    assert_eq!((response.status, &response.body["code"]), (503, &"expired".into()));
}

#[tokio::test]
async fn endpoint_provider_down_serves_cached_credentials() {
    let clock = valetkey_core::testing::ManualClock::new();
    let expires_at = valetkey_core::Clock::now(&clock) + Duration::from_secs(3600);
    let down = Error::new(ErrorKind::Unavailable, "scripted").with_provider("scripted");
    let provider =
        ScriptedProvider::new([Script::Answer(keys_expiring_at("AAAA", expires_at)), Script::Fail(down)]);
    let fixture = EndpointFixture::with_builder(|session| session.provider(provider.clone())).await;
    assert_eq!(fixture.fetch_key().await, "AAAA");
    fixture.clock.advance(Duration::from_secs(3590));
    assert_eq!(fixture.fetch_key().await, "AAAA");
    assert_eq!(provider.call_count(), 1, "the request itself makes no call");
}

#[tokio::test]
async fn endpoint_refusal_contains_no_secret_or_token() {
    let (fixture, canary) = (EndpointFixture::new().await, Canary::new());
    fixture.session.set_credentials(canary.credentials(Expiry::Never).unwrap()).unwrap();
    assert_eq!(canary.found_in(&fixture.fetch().await.body.to_string()).len(), 3, "present where it belongs");
    let mut bodies = String::new();
    for response in [
        fetch_with_token(&fixture.grant, "nonsense").await,
        fixture.send_to_grant("POST", &fixture.headers()).await,
        fixture.send_to_grant("GET", &[format!("Authorization: {}", fixture.grant.expose_token())]).await,
    ] {
        bodies += &format!("{} {} {}", response.status, response.head, response.body);
    }
    fixture.session.clear();
    let response = fixture.fetch().await;
    bodies += &format!("{} {} {:?} {:?}", response.head, response.body, fixture.grant, fixture.endpoint);
    assert_eq!(canary.found_in(&bodies), [""; 0], "{bodies}");
    assert!(!bodies.contains(fixture.grant.expose_token()), "{bodies}");
}
