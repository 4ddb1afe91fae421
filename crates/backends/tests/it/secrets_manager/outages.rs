//! Refusals and outages: a cached secret never hides a permanent failure, and a transient failure does not evict it.

use std::sync::Arc;
use std::time::Duration;

use valetkey_backends::SecretsManagerProvider;
use valetkey_core::testing::ManualClock;
use valetkey_core::{AccountName, CredentialProvider, ErrorKind, SessionContext};

use super::fixture::{DESCRIBE, GET, SecretsManagerFixture};
use crate::static_source;

struct CachedSecretFixture {
    service: SecretsManagerFixture,
    clock: ManualClock,
    provider: Arc<SecretsManagerProvider>,
}

impl CachedSecretFixture {
    /// A provider that has read `agent` once.
    async fn new() -> Self {
        let (service, clock) = (SecretsManagerFixture::with_agent(), ManualClock::new());
        let builder =
            SecretsManagerProvider::builder("agent", static_source()).client_config(&service.client_config());
        let provider = Arc::new(builder.clock(Arc::new(clock.clone())).build().unwrap());
        provider.provide().await.unwrap();
        assert_eq!(service.take_calls(), "G");
        Self { service, clock, provider }
    }

    async fn read(&self) -> Result<(), ErrorKind> {
        self.provider.provide().await.map(drop).map_err(|error| {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            error.kind()
        })
    }
}

#[tokio::test]
async fn describe_denied_fetches_and_retries_after_an_hour() {
    let fixture = CachedSecretFixture::new().await;
    fixture.service.fail_operation(DESCRIBE, "AccessDeniedException");
    for _ in 0..3 {
        fixture.read().await.unwrap();
    }
    assert_eq!(fixture.service.take_calls(), "DGGG");
    fixture.service.rotate("agent", 2);
    let credentials = fixture.provider.provide().await.unwrap();
    assert_eq!(credentials.expose_secret_access_key(), "hunter2-2", "nothing is kept unchecked");
    assert_eq!(fixture.service.take_calls(), "G");
    fixture.clock.advance(Duration::from_secs(3_600));
    fixture.service.allow_operation(DESCRIBE);
    for _ in 0..3 {
        fixture.read().await.unwrap();
    }
    assert_eq!(fixture.service.take_calls(), "GDD");
}

#[tokio::test]
async fn describe_and_get_denied_evicts_cached_secret() {
    let fixture = CachedSecretFixture::new().await;
    fixture.service.fail_operation(DESCRIBE, "AccessDeniedException");
    fixture.service.fail_operation(GET, "AccessDeniedException");
    assert_eq!(fixture.read().await, Err(ErrorKind::Denied));
    assert_eq!(fixture.read().await, Err(ErrorKind::Denied));
    assert_eq!(fixture.service.take_calls(), "DGG", "what was kept is gone");
}

#[tokio::test]
async fn secret_removed_is_invalid_and_evicted() {
    let fixture = CachedSecretFixture::new().await;
    fixture.service.remove("agent");
    let error = fixture.provider.provide().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("secret_id")), "{error}");
    fixture.service.rotate("agent", 1);
    fixture.read().await.unwrap();
    assert_eq!(fixture.service.take_calls(), "DG");
}

#[tokio::test]
async fn secret_recreated_with_same_version_id_is_refetched() {
    let fixture = CachedSecretFixture::new().await;
    fixture.service.remove("agent");
    fixture.service.put("agent", 1, &super::fixture::credentials_json(7), "AWSCURRENT");
    let credentials = fixture.provider.provide().await.unwrap();
    assert_eq!(credentials.expose_secret_access_key(), "hunter2-7");
    assert_eq!(fixture.service.take_calls(), "DG");
}

#[tokio::test]
async fn secret_scheduled_for_deletion_is_invalid() {
    let fixture = CachedSecretFixture::new().await;
    fixture.service.schedule_deletion("agent");
    for calls in ["D", "G"] {
        let error = fixture.provider.provide().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Invalid, false));
        assert!(error.next_step().unwrap().contains("restore the secret"), "{error}");
        assert_eq!(fixture.service.take_calls(), calls);
    }
}

#[tokio::test]
async fn outage_keeps_cached_secret_and_returns_error() {
    let fixture = CachedSecretFixture::new().await;
    for (code, kind, calls) in [
        ("InternalServiceError", ErrorKind::Unavailable, "D"),
        ("ThrottlingException", ErrorKind::Throttled, "DDD"),
        ("", ErrorKind::Unavailable, "DDD"),
        ("ExpiredTokenException", ErrorKind::Expired, "D"),
    ] {
        fixture.read().await.unwrap();
        assert_eq!(fixture.service.take_calls(), "D", "{code}: what is kept outlived the outage before");
        fixture.service.fail_operation(DESCRIBE, code);
        assert_eq!(fixture.read().await, Err(kind), "{code}");
        assert_eq!(fixture.service.take_calls(), calls, "{code}: and no payload was asked for");
        fixture.service.allow_operation(DESCRIBE);
    }
}

#[tokio::test]
async fn session_serves_through_outage_and_stops_when_denied() {
    let fixture = CachedSecretFixture::new().await;
    let session = SessionContext::builder()
        .clock(Arc::new(fixture.clock.clone()))
        .provider(Arc::clone(&fixture.provider))
        .build();
    let default = AccountName::default_account();
    session.credentials().await.unwrap();
    fixture.service.fail_operation(DESCRIBE, "InternalServiceError");
    assert_eq!(session.for_account(&default).refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
    session.credentials().await.unwrap();
    fixture.service.allow_operation(DESCRIBE);
    fixture.service.fail_operation(DESCRIBE, "AccessDeniedException");
    fixture.service.fail_operation(GET, "AccessDeniedException");
    assert_eq!(session.for_account(&default).refresh().await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn malformed_rotated_secret_is_invalid_each_time() {
    let fixture = CachedSecretFixture::new().await;
    fixture.service.put("agent", 2, "{\"access_key_id\":\"hunter2", "AWSCURRENT");
    for calls in ["DG", "G"] {
        assert_eq!(fixture.read().await, Err(ErrorKind::Invalid));
        assert_eq!(fixture.service.take_calls(), calls);
    }
    fixture.service.rotate("agent", 3);
    fixture.read().await.unwrap();
}
