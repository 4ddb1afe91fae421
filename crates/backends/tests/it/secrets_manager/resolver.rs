//! The resolver: what it keeps by id, and prefetching.

use std::sync::Arc;
use std::time::Duration;

use valetkey_backends::{SecretsManagerBuilder, SecretsManagerResolver};
use valetkey_core::testing::ManualClock;
use valetkey_core::{CredentialId, CredentialResolver, ErrorKind, SessionContext};

use super::fixture::{BATCH, GET, SecretsManagerFixture, credentials_json, version_id};
use crate::static_source;

const MINUTE: Duration = Duration::from_secs(60);

fn credential_id(text: impl AsRef<str>) -> CredentialId {
    text.as_ref().parse().unwrap()
}

fn credential_ids(numbers: std::ops::RangeInclusive<u64>) -> Vec<CredentialId> {
    numbers.map(|n| credential_id(format!("id-{n}"))).collect()
}

/// Holding key `n` as `agents/id-n`.
fn fixture_with_ids(numbers: std::ops::RangeInclusive<u64>) -> SecretsManagerFixture {
    let service = SecretsManagerFixture::default();
    numbers.for_each(|n| service.rotate(&format!("agents/id-{n}"), n));
    service
}

fn builder(service: &SecretsManagerFixture) -> SecretsManagerBuilder<SecretsManagerResolver> {
    SecretsManagerResolver::builder("agents/", static_source()).client_config(&service.client_config())
}

async fn resolved_secret(resolver: &SecretsManagerResolver, name: &str) -> String {
    resolver.resolve(&credential_id(name)).await.unwrap().expose_secret_access_key().to_owned()
}

#[tokio::test]
async fn resolver_repeated_id_checks_version_only() {
    let service = fixture_with_ids(1..=2);
    let resolver = builder(&service).build().unwrap();
    for name in ["id-1", "id-2", "id-1", "id-2"] {
        resolved_secret(&resolver, name).await;
    }
    assert_eq!(service.take_calls(), "GGDD");
    service.rotate("agents/id-1", 3);
    assert_eq!(resolved_secret(&resolver, "id-1").await, "hunter2-3");
    assert_eq!(resolved_secret(&resolver, "id-2").await, "hunter2-2");
    assert_eq!(service.take_calls(), "DGD");
    service.schedule_deletion("agents/id-1");
    let error = resolver.resolve(&credential_id("id-1")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Invalid, Some("provider_credential_id")),
        "{error}"
    );
}

#[tokio::test]
async fn resolver_cache_evicts_oldest_beyond_capacity() {
    let (service, clock) = (fixture_with_ids(1..=1_001), ManualClock::new());
    let resolver = builder(&service).clock(Arc::new(clock.clone())).build().unwrap();
    for id in credential_ids(1..=1_000) {
        resolver.resolve(&id).await.unwrap();
        clock.advance(Duration::from_millis(1));
    }
    service.take_calls();
    resolved_secret(&resolver, "id-1000").await;
    resolved_secret(&resolver, "id-1001").await;
    resolved_secret(&resolver, "id-2").await;
    resolved_secret(&resolver, "id-1").await;
    assert_eq!(service.take_calls(), "DGDG");
}

#[tokio::test]
async fn resolver_cache_is_cleared_when_session_ends() {
    let service = fixture_with_ids(1..=1);
    let resolver = Arc::new(builder(&service).build().unwrap());
    let session = SessionContext::builder().resolver(Arc::clone(&resolver)).build();
    session.set_from_resolver(&credential_id("id-1"), None).await.unwrap();
    session.set_from_resolver(&credential_id("id-1"), None).await.unwrap();
    drop(session);
    resolved_secret(&resolver, "id-1").await;
    assert_eq!(service.take_calls(), "GDG");
}

#[tokio::test]
async fn prefetched_secret_resolves_once_without_call() {
    let service = fixture_with_ids(1..=45);
    let resolver = builder(&service).build().unwrap();
    let wanted = credential_ids(1..=45);
    assert!(resolver.prefetch(&wanted).await.is_empty());
    assert_eq!(service.take_calls(), "BBB");
    for n in 1..=45_u64 {
        assert_eq!(resolved_secret(&resolver, &format!("id-{n}")).await, format!("hunter2-{n}"));
    }
    assert_eq!(service.take_calls(), "");
    resolved_secret(&resolver, "id-7").await;
    assert_eq!(service.take_calls(), "D");
}

#[tokio::test]
async fn resolver_prefix_may_be_arn() {
    let service = fixture_with_ids(1..=2);
    let prefix = "arn:aws:secretsmanager:us-east-1:111111111111:secret:agents/";
    let resolver = SecretsManagerResolver::builder(prefix, static_source())
        .client_config(&service.client_config())
        .build()
        .unwrap();
    assert!(resolver.prefetch(&credential_ids(1..=2)).await.is_empty());
    assert_eq!(
        (resolved_secret(&resolver, "id-1").await, resolved_secret(&resolver, "id-2").await),
        ("hunter2-1".into(), "hunter2-2".into())
    );
    assert_eq!(service.take_calls(), "B");
}

#[tokio::test]
async fn prefetched_secret_older_than_a_minute_is_checked() {
    let (service, clock) = (fixture_with_ids(1..=2), ManualClock::new());
    let resolver = builder(&service).clock(Arc::new(clock.clone())).build().unwrap();
    resolver.prefetch(&credential_ids(1..=2)).await;
    clock.advance(MINUTE - Duration::from_secs(1));
    resolved_secret(&resolver, "id-1").await;
    clock.advance(Duration::from_secs(1));
    service.rotate("agents/id-2", 3);
    assert_eq!(resolved_secret(&resolver, "id-2").await, "hunter2-3");
    assert_eq!(service.take_calls(), "BDG");
}

#[tokio::test]
async fn prefetch_reports_each_failed_id() {
    let service = fixture_with_ids(1..=3);
    service.put("agents/torn", 9, "{\"access_key_id\":\"hunter2", "AWSCURRENT");
    let ended = credentials_json(9).replace('}', r#","expires_at":"2001-01-01T00:00:00Z"}"#);
    service.put("agents/ended", 9, &ended, "AWSCURRENT");
    service.put("agents/pending", 9, &credentials_json(9), "AWSPENDING");
    service.schedule_deletion("agents/id-2");
    let resolver = builder(&service).build().unwrap();
    let wanted = ["id-1", "torn", "ended", "a:b", "id-2", "pending", "missing", "id-3"].map(credential_id);
    let faults = resolver.prefetch(&wanted).await;
    let mut reported: Vec<_> =
        faults.iter().map(|(id, error)| (id.as_str(), error.kind(), error.field())).collect();
    reported.sort_by_key(|(id, ..)| *id);
    let unknown = Some("provider_credential_id");
    assert_eq!(
        reported,
        [
            ("a:b", ErrorKind::Invalid, unknown),
            ("ended", ErrorKind::Expired, None),
            ("id-2", ErrorKind::Invalid, None),
            ("missing", ErrorKind::Invalid, unknown),
            ("pending", ErrorKind::Invalid, unknown),
            ("torn", ErrorKind::Invalid, None),
        ]
    );
    for (_, error) in &faults {
        assert_eq!(error.provider(), Some("secrets-manager"));
        assert!(
            error.next_step().is_some() && !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
    assert_eq!(service.take_calls(), "BGGG", "what the batch left out is asked for singly");
    assert_eq!(
        (resolved_secret(&resolver, "id-1").await, resolved_secret(&resolver, "id-3").await),
        ("hunter2-1".into(), "hunter2-3".into())
    );
    assert_eq!(service.take_calls(), "");
}

#[tokio::test]
async fn prefetch_batch_denied_reads_singly() {
    for code in ["AccessDeniedException", "UnknownOperationException"] {
        let service = fixture_with_ids(1..=25);
        service.fail_operation(BATCH, code);
        let resolver = builder(&service).build().unwrap();
        assert!(resolver.prefetch(&credential_ids(1..=25)).await.is_empty());
        assert_eq!(service.take_calls(), format!("B{}", "G".repeat(25)), "{code}: and tries no second batch");
        resolved_secret(&resolver, "id-1").await;
        assert_eq!(service.take_calls(), "D");
    }
}

#[tokio::test]
async fn prefetch_transient_batch_error_is_not_read_singly() {
    let service = fixture_with_ids(1..=2);
    service.fail_operation(BATCH, "InternalServiceError");
    let resolver = builder(&service).build().unwrap();
    let faults = resolver.prefetch(&credential_ids(1..=2)).await;
    assert_eq!(service.take_calls(), "B");
    assert!(faults.len() == 2 && faults.iter().all(|(_, error)| error.kind() == ErrorKind::Unavailable));
}

#[tokio::test]
async fn prefetch_other_stage_or_version_reads_singly() {
    let service = fixture_with_ids(1..=2);
    service.put("agents/id-1", 3, &credentials_json(3), "AWSPENDING");
    for builder in
        [builder(&service).version_stage("AWSPENDING"), builder(&service).version_id(version_id(1))]
    {
        let faults = builder.build().unwrap().prefetch(&credential_ids(1..=2)).await;
        assert_eq!(service.take_calls(), "GG");
        assert_eq!(faults.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["id-2"]);
    }
}

#[tokio::test]
async fn prefetch_overtaken_by_clear_stores_nothing() {
    let service = fixture_with_ids(1..=2);
    let resolver = Arc::new(builder(&service).build().unwrap());
    let forgetful = Arc::clone(&resolver);
    service.run_during(BATCH, move || forgetful.clear_cache());
    assert!(resolver.prefetch(&credential_ids(1..=2)).await.is_empty());
    resolved_secret(&resolver, "id-1").await;
    assert_eq!(service.take_calls(), format!("B{}", &GET[..1]));
}
