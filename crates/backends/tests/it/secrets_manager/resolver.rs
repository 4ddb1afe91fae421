//! The resolver: what it keeps by id, and prefetching.

use std::sync::Arc;
use std::time::Duration;

use valetkey_backends::{SecretsManagerBuilder, SecretsManagerResolver};
use valetkey_core::testing::ManualClock;
use valetkey_core::{CredentialId, CredentialResolver, ErrorKind, SessionContext};

use super::vault::{BATCH, GET, Vault, keys, version_id};
use crate::source;

const MINUTE: Duration = Duration::from_secs(60);

fn id(text: impl AsRef<str>) -> CredentialId {
    text.as_ref().parse().unwrap()
}

fn ids(numbers: std::ops::RangeInclusive<u64>) -> Vec<CredentialId> {
    numbers.map(|n| id(format!("id-{n}"))).collect()
}

/// Holding key `n` as `agents/id-n`.
fn vault(numbers: std::ops::RangeInclusive<u64>) -> Vault {
    let vault = Vault::default();
    numbers.for_each(|n| vault.rotate(&format!("agents/id-{n}"), n));
    vault
}

fn builder(vault: &Vault) -> SecretsManagerBuilder<SecretsManagerResolver> {
    SecretsManagerResolver::builder("agents/", source()).base(&vault.base())
}

async fn secret(resolver: &SecretsManagerResolver, name: &str) -> String {
    resolver.resolve(&id(name)).await.unwrap().expose_secret_access_key().to_owned()
}

#[tokio::test]
async fn an_id_resolved_again_costs_a_question_and_gets_what_is_current() {
    let vault = vault(1..=2);
    let resolver = builder(&vault).build().unwrap();
    for name in ["id-1", "id-2", "id-1", "id-2"] {
        secret(&resolver, name).await;
    }
    assert_eq!(vault.calls(), "GGDD");
    vault.rotate("agents/id-1", 3);
    assert_eq!(secret(&resolver, "id-1").await, "hunter2-3");
    assert_eq!(secret(&resolver, "id-2").await, "hunter2-2");
    assert_eq!(vault.calls(), "DGD");
    vault.schedule_deletion("agents/id-1");
    let error = resolver.resolve(&id("id-1")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Invalid, Some("provider_credential_id")),
        "{error}"
    );
}

#[tokio::test]
async fn at_most_a_thousand_ids_are_kept_and_the_oldest_goes_first() {
    let (vault, clock) = (vault(1..=1_001), ManualClock::new());
    let resolver = builder(&vault).clock(Arc::new(clock.clone())).build().unwrap();
    for id in ids(1..=1_000) {
        resolver.resolve(&id).await.unwrap();
        clock.advance(Duration::from_millis(1));
    }
    vault.calls();
    secret(&resolver, "id-1000").await;
    secret(&resolver, "id-1001").await;
    secret(&resolver, "id-2").await;
    secret(&resolver, "id-1").await;
    assert_eq!(vault.calls(), "DGDG");
}

#[tokio::test]
async fn a_session_that_ends_has_its_resolver_forget() {
    let vault = vault(1..=1);
    let resolver = Arc::new(builder(&vault).build().unwrap());
    let session = SessionContext::builder().resolver(Arc::clone(&resolver)).build();
    session.adopt(&id("id-1"), None).await.unwrap();
    session.adopt(&id("id-1"), None).await.unwrap();
    drop(session);
    secret(&resolver, "id-1").await;
    assert_eq!(vault.calls(), "GDG");
}

#[tokio::test]
async fn what_was_prefetched_is_resolved_once_without_a_call() {
    let vault = vault(1..=45);
    let resolver = builder(&vault).build().unwrap();
    let wanted = ids(1..=45);
    assert!(resolver.prefetch(&wanted).await.is_empty());
    assert_eq!(vault.calls(), "BBB");
    for n in 1..=45_u64 {
        assert_eq!(secret(&resolver, &format!("id-{n}")).await, format!("hunter2-{n}"));
    }
    assert_eq!(vault.calls(), "");
    secret(&resolver, "id-7").await;
    assert_eq!(vault.calls(), "D");
}

#[tokio::test]
async fn a_prefix_may_be_an_arn() {
    let vault = vault(1..=2);
    let prefix = "arn:aws:secretsmanager:us-east-1:111111111111:secret:agents/";
    let resolver = SecretsManagerResolver::builder(prefix, source()).base(&vault.base()).build().unwrap();
    assert!(resolver.prefetch(&ids(1..=2)).await.is_empty());
    assert_eq!(
        (secret(&resolver, "id-1").await, secret(&resolver, "id-2").await),
        ("hunter2-1".into(), "hunter2-2".into())
    );
    assert_eq!(vault.calls(), "B");
}

#[tokio::test]
async fn what_was_prefetched_longer_ago_than_a_minute_is_checked() {
    let (vault, clock) = (vault(1..=2), ManualClock::new());
    let resolver = builder(&vault).clock(Arc::new(clock.clone())).build().unwrap();
    resolver.prefetch(&ids(1..=2)).await;
    clock.advance(MINUTE - Duration::from_secs(1));
    secret(&resolver, "id-1").await;
    clock.advance(Duration::from_secs(1));
    vault.rotate("agents/id-2", 3);
    assert_eq!(secret(&resolver, "id-2").await, "hunter2-3");
    assert_eq!(vault.calls(), "BDG");
}

#[tokio::test]
async fn each_id_that_cannot_be_prefetched_is_told_by_itself() {
    let vault = vault(1..=3);
    vault.put("agents/torn", 9, "{\"access_key_id\":\"hunter2", "AWSCURRENT");
    let ended = keys(9).replace('}', r#","expires_at":"2001-01-01T00:00:00Z"}"#);
    vault.put("agents/ended", 9, &ended, "AWSCURRENT");
    vault.put("agents/pending", 9, &keys(9), "AWSPENDING");
    vault.schedule_deletion("agents/id-2");
    let resolver = builder(&vault).build().unwrap();
    let wanted = ["id-1", "torn", "ended", "a:b", "id-2", "pending", "nobody", "id-3"].map(id);
    let faults = resolver.prefetch(&wanted).await;
    let mut told: Vec<_> =
        faults.iter().map(|(id, error)| (id.as_str(), error.kind(), error.field())).collect();
    told.sort_by_key(|(id, ..)| *id);
    let unknown = Some("provider_credential_id");
    assert_eq!(
        told,
        [
            ("a:b", ErrorKind::Invalid, unknown),
            ("ended", ErrorKind::Expired, None),
            ("id-2", ErrorKind::Invalid, None),
            ("nobody", ErrorKind::Invalid, unknown),
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
    assert_eq!(vault.calls(), "BGGG", "what the batch left out is asked for singly");
    assert_eq!(
        (secret(&resolver, "id-1").await, secret(&resolver, "id-3").await),
        ("hunter2-1".into(), "hunter2-3".into())
    );
    assert_eq!(vault.calls(), "");
}

#[tokio::test]
async fn whoever_may_not_read_in_batches_reads_singly() {
    for code in ["AccessDeniedException", "UnknownOperationException"] {
        let vault = vault(1..=25);
        vault.refuse(BATCH, code);
        let resolver = builder(&vault).build().unwrap();
        assert!(resolver.prefetch(&ids(1..=25)).await.is_empty());
        assert_eq!(vault.calls(), format!("B{}", "G".repeat(25)), "{code}: and tries no second batch");
        secret(&resolver, "id-1").await;
        assert_eq!(vault.calls(), "D");
    }
}

#[tokio::test]
async fn a_batch_that_fails_and_may_pass_is_not_tried_singly() {
    let vault = vault(1..=2);
    vault.refuse(BATCH, "InternalServiceError");
    let resolver = builder(&vault).build().unwrap();
    let faults = resolver.prefetch(&ids(1..=2)).await;
    assert_eq!(vault.calls(), "B");
    assert!(faults.len() == 2 && faults.iter().all(|(_, error)| error.kind() == ErrorKind::Unavailable));
}

#[tokio::test]
async fn only_the_current_stage_is_read_in_batches() {
    let vault = vault(1..=2);
    vault.put("agents/id-1", 3, &keys(3), "AWSPENDING");
    for builder in [builder(&vault).version_stage("AWSPENDING"), builder(&vault).version_id(version_id(1))] {
        let faults = builder.build().unwrap().prefetch(&ids(1..=2)).await;
        assert_eq!(vault.calls(), "GG");
        assert_eq!(faults.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["id-2"]);
    }
}

#[tokio::test]
async fn a_prefetch_that_is_overtaken_by_a_forget_keeps_nothing() {
    let vault = vault(1..=2);
    let resolver = Arc::new(builder(&vault).build().unwrap());
    let forgetful = Arc::clone(&resolver);
    vault.during(BATCH, move || forgetful.forget());
    assert!(resolver.prefetch(&ids(1..=2)).await.is_empty());
    secret(&resolver, "id-1").await;
    assert_eq!(vault.calls(), format!("B{}", &GET[..1]));
}
