//! What is kept of a secret: transferred once a version, checked each time, never given to the wrong one.

use std::sync::Arc;
use std::time::Duration;

use valetkey_backends::{MemoryProvider, SecretsManagerBuilder, SecretsManagerProvider};
use valetkey_core::testing::ManualClock;
use valetkey_core::{CredentialProvider, ErrorKind, Result, SessionContext};

use super::vault::{DESCRIBE, GET, SecretsManagerFixture, credentials_json, key_id, version_id};
use crate::{long_lived, static_source};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

fn builder(vault: &SecretsManagerFixture) -> SecretsManagerBuilder<SecretsManagerProvider> {
    SecretsManagerProvider::builder("agent", static_source()).client_config(&vault.client_config())
}

fn provider(vault: &SecretsManagerFixture) -> SecretsManagerProvider {
    builder(vault).build().unwrap()
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
    let vault = SecretsManagerFixture::with_agent();
    let provider = provider(&vault);
    for _ in 0..3 {
        assert_eq!(served_key(&provider).await.unwrap(), 1);
    }
    assert_eq!(vault.take_calls(), "GDD");
    vault.rotate("agent", 2);
    for _ in 0..3 {
        assert_eq!(served_key(&provider).await.unwrap(), 2);
    }
    assert_eq!(vault.take_calls(), "DGDD");
    vault.move_stage("agent", 1, "AWSCURRENT");
    assert_eq!(served_key(&provider).await.unwrap(), 1, "rolled back");
    assert_eq!(vault.take_calls(), "DG");
}

#[tokio::test]
async fn secret_cache_same_version_returns_same_credentials() {
    let vault = SecretsManagerFixture::with_agent();
    let provider = provider(&vault);
    let (first, second) = (provider.provide().await.unwrap(), provider.provide().await.unwrap());
    assert!(
        std::ptr::eq(first.expose_secret_access_key(), second.expose_secret_access_key()),
        "no second copy"
    );
}

#[tokio::test]
async fn secret_cache_pending_version_needs_pending_stage() {
    let vault = SecretsManagerFixture::with_agent();
    let current = provider(&vault);
    let pending = builder(&vault).version_stage("AWSPENDING").build().unwrap();
    assert_eq!(error_kind(&pending).await, ErrorKind::Invalid);
    vault.put("agent", 2, &credentials_json(2), "AWSPENDING");
    assert_eq!((served_key(&current).await.unwrap(), served_key(&pending).await.unwrap()), (1, 2));
    vault.put("agent", 3, &credentials_json(3), "AWSPENDING");
    assert_eq!((served_key(&current).await.unwrap(), served_key(&pending).await.unwrap()), (1, 3));
    vault.move_stage("agent", 3, "AWSCURRENT");
    assert_eq!(served_key(&current).await.unwrap(), 3);
}

#[tokio::test]
async fn secret_cache_version_id_ignores_rotation() {
    let vault = SecretsManagerFixture::with_agent();
    let provider = builder(&vault).version_id(version_id(1)).build().unwrap();
    for n in 2..5 {
        assert_eq!(served_key(&provider).await.unwrap(), 1);
        vault.rotate("agent", n);
    }
    assert_eq!(vault.take_calls(), "GDD");
    vault.schedule_deletion("agent");
    assert_eq!(error_kind(&provider).await, ErrorKind::Invalid, "whether the secret is still there is asked");
}

#[tokio::test]
async fn secret_cache_rotation_during_describe_is_detected() {
    let vault = SecretsManagerFixture::with_agent();
    let provider = provider(&vault);
    served_key(&provider).await.unwrap();
    vault.rotate("agent", 2);
    let rotated = vault.clone();
    vault.run_during(DESCRIBE, move || rotated.rotate("agent", 3));
    assert_eq!(served_key(&provider).await.unwrap(), 3);
    vault.take_calls();
    assert_eq!(served_key(&provider).await.unwrap(), 3);
    assert_eq!(vault.take_calls(), "D", "it was kept as the version that it is");
}

#[tokio::test]
async fn secret_cache_is_per_reader_identity() {
    let vault = SecretsManagerFixture::with_agent();
    let source = Arc::new(MemoryProvider::from(long_lived(crate::KEY_ID)));
    let provider = SecretsManagerProvider::builder("agent", source.clone())
        .client_config(&vault.client_config())
        .build()
        .unwrap();
    served_key(&provider).await.unwrap();
    source.set(long_lived(&key_id(99)));
    vault.fail_operation(GET, "AccessDeniedException");
    assert_eq!(error_kind(&provider).await, ErrorKind::Denied);
    vault.allow_operation(GET);
    served_key(&provider).await.unwrap();
    source.set(long_lived(crate::KEY_ID));
    served_key(&provider).await.unwrap();
    assert_eq!(vault.take_calls(), "GGGG", "each reads for itself");
}

#[tokio::test]
async fn secret_cache_entry_expires_after_an_hour() {
    let (vault, clock) = (SecretsManagerFixture::with_agent(), ManualClock::new());
    let provider = builder(&vault).clock(Arc::new(clock.clone())).build().unwrap();
    served_key(&provider).await.unwrap();
    clock.advance(HOUR - SECOND);
    served_key(&provider).await.unwrap();
    vault.fail_operation(GET, "AccessDeniedException");
    served_key(&provider).await.unwrap();
    assert_eq!(vault.take_calls(), "GDD");
    clock.advance(SECOND);
    assert_eq!(error_kind(&provider).await, ErrorKind::Denied);
    assert_eq!(vault.take_calls(), "G");
}

#[tokio::test]
async fn secret_cache_clock_jump_backwards_refetches() {
    let (vault, clock) = (SecretsManagerFixture::with_agent(), ManualClock::new());
    let provider = builder(&vault).clock(Arc::new(clock.clone())).build().unwrap();
    served_key(&provider).await.unwrap();
    clock.rewind(SECOND);
    served_key(&provider).await.unwrap();
    assert_eq!(vault.take_calls(), "GG");
}

#[tokio::test]
async fn secret_cache_response_without_version_not_stored() {
    let wire = crate::wire::HttpFixture::responding(
        200,
        serde_json::json!({ "SecretString": credentials_json(1) }).to_string(),
    );
    let provider = SecretsManagerProvider::builder("agent", static_source())
        .client_config(&wire.client_config())
        .build()
        .unwrap();
    for _ in 0..3 {
        served_key(&provider).await.unwrap();
    }
    let requests = wire.requests();
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|sent| sent.headers["x-amz-target"].ends_with(GET)));
}

#[tokio::test]
async fn secret_cache_cleared_during_fetch_refetches() {
    let vault = SecretsManagerFixture::with_agent();
    let provider = Arc::new(provider(&vault));
    served_key(&provider).await.unwrap();
    provider.clear_cache();
    let forgetful = Arc::clone(&provider);
    vault.run_during(GET, move || forgetful.clear_cache());
    assert_eq!(served_key(&provider).await.unwrap(), 1, "the caller in progress gets it");
    served_key(&provider).await.unwrap();
    served_key(&provider).await.unwrap();
    assert_eq!(vault.take_calls(), "GGGD");
}

#[tokio::test]
async fn secret_cache_session_clear_clears_it() {
    let vault = SecretsManagerFixture::with_agent();
    let provider = Arc::new(provider(&vault));
    let session = SessionContext::builder().provider(Arc::clone(&provider)).build();
    session.credentials().await.unwrap();
    session.clear();
    served_key(&provider).await.unwrap();
    assert_eq!(vault.take_calls(), "GG");
}

#[tokio::test]
async fn secret_cache_expired_credentials_until_rotation() {
    let (vault, clock) = (SecretsManagerFixture::with_agent(), ManualClock::new());
    let ending = credentials_json(2).replace('}', r#","expires_at":"2026-11-21T12:10:00Z"}"#);
    vault.put("agent", 2, &ending, "AWSCURRENT");
    let provider = builder(&vault).clock(Arc::new(clock.clone())).build().unwrap();
    served_key(&provider).await.unwrap();
    clock.advance(10 * 60 * SECOND);
    assert_eq!(error_kind(&provider).await, ErrorKind::Expired);
    vault.rotate("agent", 3);
    assert_eq!(served_key(&provider).await.unwrap(), 3);
    assert_eq!(vault.take_calls(), "GDDG");
}
