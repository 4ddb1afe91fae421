//! The cache of secrets: a payload is transferred once for each version, its version is checked at each fetch, and only
//! the identity that read it gets it.

use std::sync::Arc;
use std::time::Duration;

use valetkey_backends::{MemoryProvider, SecretsManagerBuilder, SecretsManagerProvider};
use valetkey_core::testing::ManualClock;
use valetkey_core::{CredentialProvider, ErrorKind, Result, SessionContext};

use super::fixture::{DESCRIBE, GET, SecretsManagerFixture, credentials_json, key_id, version_id};
use crate::{long_lived, static_source};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

fn builder(service: &SecretsManagerFixture) -> SecretsManagerBuilder<SecretsManagerProvider> {
    SecretsManagerProvider::builder("agent", static_source()).client_config(&service.client_config())
}

fn provider(service: &SecretsManagerFixture) -> SecretsManagerProvider {
    builder(service).build().unwrap()
}

/// The number of the key that is served.
async fn served_key(provider: &impl CredentialProvider) -> Result<u64> {
    let credentials = provider.provide().await?;
    let number = credentials.access_key_id().as_str().trim_start_matches("AKIA").parse().unwrap();
    assert_eq!(credentials.expose_secret_access_key(), format!("hunter2-{number}"));
    Ok(number)
}

async fn error_kind(provider: &impl CredentialProvider) -> ErrorKind {
    let error = provider.provide().await.unwrap_err();
    assert_eq!(error.provider(), Some("secrets-manager"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    error.kind()
}

#[tokio::test]
async fn secret_cache_fetches_payload_once_per_version() {
    let service = SecretsManagerFixture::with_agent();
    let provider = provider(&service);
    for _ in 0..3 {
        assert_eq!(served_key(&provider).await.unwrap(), 1);
    }
    assert_eq!(service.take_calls(), "GDD");
    service.rotate("agent", 2);
    for _ in 0..3 {
        assert_eq!(served_key(&provider).await.unwrap(), 2);
    }
    assert_eq!(service.take_calls(), "DGDD");
    service.move_stage("agent", 1, "AWSCURRENT");
    assert_eq!(served_key(&provider).await.unwrap(), 1, "rolled back");
    assert_eq!(service.take_calls(), "DG");
}

#[tokio::test]
async fn secret_cache_same_version_returns_same_credentials() {
    let service = SecretsManagerFixture::with_agent();
    let provider = provider(&service);
    let (first, second) = (provider.provide().await.unwrap(), provider.provide().await.unwrap());
    assert!(
        std::ptr::eq(first.expose_secret_access_key(), second.expose_secret_access_key()),
        "no second copy"
    );
}

#[tokio::test]
async fn secret_cache_pending_version_needs_pending_stage() {
    let service = SecretsManagerFixture::with_agent();
    let current = provider(&service);
    let pending = builder(&service).version_stage("AWSPENDING").build().unwrap();
    assert_eq!(error_kind(&pending).await, ErrorKind::Invalid);
    service.put("agent", 2, &credentials_json(2), "AWSPENDING");
    assert_eq!((served_key(&current).await.unwrap(), served_key(&pending).await.unwrap()), (1, 2));
    service.put("agent", 3, &credentials_json(3), "AWSPENDING");
    assert_eq!((served_key(&current).await.unwrap(), served_key(&pending).await.unwrap()), (1, 3));
    service.move_stage("agent", 3, "AWSCURRENT");
    assert_eq!(served_key(&current).await.unwrap(), 3);
}

#[tokio::test]
async fn secret_cache_version_id_ignores_rotation() {
    let service = SecretsManagerFixture::with_agent();
    let provider = builder(&service).version_id(version_id(1)).build().unwrap();
    for n in 2..5 {
        assert_eq!(served_key(&provider).await.unwrap(), 1);
        service.rotate("agent", n);
    }
    assert_eq!(service.take_calls(), "GDD");
    service.schedule_deletion("agent");
    assert_eq!(error_kind(&provider).await, ErrorKind::Invalid, "whether the secret is still there is asked");
}

#[tokio::test]
async fn secret_cache_rotation_during_describe_is_detected() {
    let service = SecretsManagerFixture::with_agent();
    let provider = provider(&service);
    served_key(&provider).await.unwrap();
    service.rotate("agent", 2);
    let rotated = service.clone();
    service.run_during(DESCRIBE, move || rotated.rotate("agent", 3));
    assert_eq!(served_key(&provider).await.unwrap(), 3);
    service.take_calls();
    assert_eq!(served_key(&provider).await.unwrap(), 3);
    assert_eq!(service.take_calls(), "D", "it was kept as the version that it is");
}

#[tokio::test]
async fn secret_cache_is_per_reader_identity() {
    let service = SecretsManagerFixture::with_agent();
    let source = Arc::new(MemoryProvider::from(long_lived(crate::KEY_ID)));
    let provider = SecretsManagerProvider::builder("agent", source.clone())
        .client_config(&service.client_config())
        .build()
        .unwrap();
    served_key(&provider).await.unwrap();
    source.set(long_lived(&key_id(99)));
    service.fail_operation(GET, "AccessDeniedException");
    assert_eq!(error_kind(&provider).await, ErrorKind::Denied);
    service.allow_operation(GET);
    served_key(&provider).await.unwrap();
    source.set(long_lived(crate::KEY_ID));
    served_key(&provider).await.unwrap();
    assert_eq!(service.take_calls(), "GGGG", "each reads for itself");
}

#[tokio::test]
async fn secret_cache_entry_expires_after_an_hour() {
    let (service, clock) = (SecretsManagerFixture::with_agent(), ManualClock::new());
    let provider = builder(&service).clock(Arc::new(clock.clone())).build().unwrap();
    served_key(&provider).await.unwrap();
    clock.advance(HOUR - SECOND);
    served_key(&provider).await.unwrap();
    service.fail_operation(GET, "AccessDeniedException");
    served_key(&provider).await.unwrap();
    assert_eq!(service.take_calls(), "GDD");
    clock.advance(SECOND);
    assert_eq!(error_kind(&provider).await, ErrorKind::Denied);
    assert_eq!(service.take_calls(), "G");
}

#[tokio::test]
async fn secret_cache_clock_jump_backwards_refetches() {
    let (service, clock) = (SecretsManagerFixture::with_agent(), ManualClock::new());
    let provider = builder(&service).clock(Arc::new(clock.clone())).build().unwrap();
    served_key(&provider).await.unwrap();
    clock.rewind(SECOND);
    served_key(&provider).await.unwrap();
    assert_eq!(service.take_calls(), "GG");
}

#[tokio::test]
async fn secret_cache_response_without_version_not_stored() {
    let http = crate::http_fixture::HttpFixture::responding(
        200,
        serde_json::json!({ "SecretString": credentials_json(1) }).to_string(),
    );
    let provider = SecretsManagerProvider::builder("agent", static_source())
        .client_config(&http.client_config())
        .build()
        .unwrap();
    for _ in 0..3 {
        served_key(&provider).await.unwrap();
    }
    let requests = http.requests();
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|sent| sent.headers["x-amz-target"].ends_with(GET)));
}

#[tokio::test]
async fn secret_cache_cleared_during_fetch_refetches() {
    let service = SecretsManagerFixture::with_agent();
    let provider = Arc::new(provider(&service));
    served_key(&provider).await.unwrap();
    provider.clear_cache();
    let forgetful = Arc::clone(&provider);
    service.run_during(GET, move || forgetful.clear_cache());
    assert_eq!(served_key(&provider).await.unwrap(), 1, "the caller in progress gets it");
    served_key(&provider).await.unwrap();
    served_key(&provider).await.unwrap();
    assert_eq!(service.take_calls(), "GGGD");
}

#[tokio::test]
async fn secret_cache_session_clear_clears_it() {
    let service = SecretsManagerFixture::with_agent();
    let provider = Arc::new(provider(&service));
    let session = SessionContext::builder().provider(Arc::clone(&provider)).build();
    session.credentials().await.unwrap();
    session.clear();
    served_key(&provider).await.unwrap();
    assert_eq!(service.take_calls(), "GG");
}

#[tokio::test]
async fn secret_cache_expired_credentials_until_rotation() {
    let (service, clock) = (SecretsManagerFixture::with_agent(), ManualClock::new());
    let ending = credentials_json(2).replace('}', r#","expires_at":"2026-11-21T12:10:00Z"}"#);
    service.put("agent", 2, &ending, "AWSCURRENT");
    let provider = builder(&service).clock(Arc::new(clock.clone())).build().unwrap();
    served_key(&provider).await.unwrap();
    clock.advance(10 * 60 * SECOND);
    assert_eq!(error_kind(&provider).await, ErrorKind::Expired);
    service.rotate("agent", 3);
    assert_eq!(served_key(&provider).await.unwrap(), 3);
    assert_eq!(service.take_calls(), "GDDG");
}
