//! Credentials set manually, and accounts by alias.

use std::sync::Arc;

use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{AccountName, ErrorKind, Expiry, Region, SessionBuilder, SessionContext};

use crate::session_fixture::*;

fn account_name(name: &str) -> AccountName {
    name.parse().unwrap()
}

#[tokio::test]
async fn set_credentials_override_provider() {
    let fixture = SessionFixture::with_cached(HOUR, |clock| vec![returns(clock, 2, HOUR)]).await;
    fixture.session.set_credentials(numbered(9, Expiry::Never)).unwrap();
    fixture.clock.advance(100 * HOUR);
    assert_eq!(fixture.number().await.unwrap(), 9);
    assert_eq!(fixture.provider.call_count(), 1);
}

#[tokio::test]
async fn set_credentials_expired_do_not_fall_back_to_provider() {
    let fixture = SessionFixture::new(|clock| vec![returns(clock, 1, 10 * HOUR)]);
    fixture.session.set_credentials(expiring(&fixture.clock, 9, HOUR)).unwrap();
    fixture.clock.advance(HOUR);
    assert_eq!(fixture.kind().await, ErrorKind::Expired);
    assert_eq!(fixture.provider.call_count(), 0);
}

#[tokio::test]
async fn set_credentials_already_expired_are_refused() {
    let fixture = SessionFixture::new(|_| vec![]);
    fixture.session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let error =
        fixture.session.set_credentials(expiring(&fixture.clock, 2, std::time::Duration::ZERO)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("expires_at")));
    assert_eq!(fixture.number().await.unwrap(), 1);
}

#[tokio::test]
async fn credentials_of_empty_session_are_not_configured() {
    let session = SessionContext::builder().build();
    let error = session.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConfigured);
    assert!(error.next_step().is_some());
}

#[tokio::test]
async fn accounts_are_separate_and_unknown_lists_known() {
    let session = SessionContext::builder().build();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    session.for_account(&account_name("prod")).set_credentials(numbered(2, Expiry::Never)).unwrap();
    assert_eq!(number(&session.credentials().await.unwrap()), 1);
    assert_eq!(number(&session.for_account(&account_name("prod")).credentials().await.unwrap()), 2);
    assert_eq!(session.accounts(), [AccountName::default_account(), account_name("prod")]);
    let error = session.for_account(&account_name("nowhere")).credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConfigured);
    assert_eq!(error.next_step(), Some("use one of: default, prod"));
    assert!(!error.to_string().contains("nowhere"));
}

#[tokio::test]
async fn resolved_region_unset_uses_environment() {
    let region = |text: &str| text.parse::<Region>().unwrap();
    let named = |builder: SessionBuilder| {
        let session = builder.build();
        let set = numbered(1, Expiry::Never).with_environment_region(region("eu-north-1"));
        assert_eq!(set.region(), None);
        session.set_credentials(set).unwrap();
        session.resolved_region().to_string()
    };
    let environment = || SessionContext::builder().environment_region(region("eu-south-1"));
    let account = environment().region_for(AccountName::default_account(), region("eu-west-2"));
    assert_eq!(named(account), "eu-west-2");
    assert_eq!(named(environment().region(region("eu-west-1"))), "eu-west-1");
    assert_eq!(named(environment()), "eu-north-1", "the provider's environment is nearer");
    let nothing_set = |session: SessionContext| session.resolved_region();
    assert_eq!(nothing_set(environment().build()), region("eu-south-1"));
    assert_eq!(nothing_set(SessionContext::builder().build()), region("us-east-1"));
    let parent = environment().build();
    assert_eq!(
        nothing_set(parent.with_credentials(numbered(1, Expiry::Never)).unwrap()),
        region("eu-south-1")
    );
}

#[tokio::test]
async fn region_prefers_credentials_then_account_then_session() {
    let region = |text: &str| text.parse::<Region>().unwrap();
    let session = SessionContext::builder()
        .region(region("eu-west-1"))
        .region_for(account_name("prod"), region("eu-west-2"))
        .build();
    assert_eq!(session.for_account(&account_name("prod")).region(), Some(region("eu-west-2")));
    assert_eq!(session.region(), Some(region("eu-west-1")));
    let set = numbered(1, Expiry::Never).with_region(region("eu-west-3"));
    session.for_account(&account_name("prod")).set_credentials(set).unwrap();
    assert_eq!(session.for_account(&account_name("prod")).region(), Some(region("eu-west-3")));
}

#[tokio::test]
async fn set_provider_replaces_former_provider() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
    let other = ScriptedProvider::new([returns(&fixture.clock, 5, HOUR)]);
    fixture.session.set_provider(other).unwrap();
    assert_eq!(fixture.number().await.unwrap(), 5);
}

#[tokio::test]
async fn set_service_context_refuses_non_object() {
    let session = SessionContext::builder().build();
    session.set_service_context(serde_json::json!({"service_id": "a"})).unwrap();
    let error = session.set_service_context(serde_json::json!(["hunter2"])).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("service_context")));
    assert_eq!(session.service_context().unwrap()["service_id"], "a");
}

#[tokio::test]
async fn status_names_provider_unless_cleared() {
    let fixture = SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]);
    let provider = || fixture.session.status().accounts.remove(0).provider;
    assert_eq!(provider().as_deref(), Some("scripted"), "which a fetch would call");
    fixture.number().await.unwrap();
    assert_eq!(provider().as_deref(), Some("numbered"), "which issued the credentials");
    fixture.session.clear();
    assert_eq!(provider(), None);
}

#[tokio::test]
async fn explicit_credentials_are_only_those_that_were_set() {
    let fixture = SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]);
    let account = fixture.session.account(fixture.session.default_account()).unwrap();
    let explicit = || account.explicit_credentials().map(|credentials| number(&credentials));
    assert_eq!(explicit(), None);
    fixture.number().await.unwrap();
    assert_eq!(explicit(), None, "a provider issued them");
    fixture.session.set_credentials(numbered(2, Expiry::Never)).unwrap();
    assert_eq!(explicit(), Some(2));
    fixture.session.clear();
    assert_eq!(explicit(), None);
}

#[tokio::test]
async fn wrap_provider_replaces_provider_of_account() {
    let fixture = SessionFixture::new(|clock| vec![returns(clock, 1, HOUR)]);
    let account = fixture.session.account(fixture.session.default_account()).unwrap();
    let wrapped = Arc::new(ScriptedProvider::new([returns(&fixture.clock, 2, HOUR)]));
    let mut inner = None;
    account
        .wrap_provider(|provider| {
            inner = Some(provider.name().into_owned());
            Arc::clone(&wrapped) as _
        })
        .unwrap();
    assert_eq!(inner.as_deref(), Some("scripted"));
    assert_eq!(fixture.number().await.unwrap(), 2);
    assert_eq!(fixture.provider.call_count(), 0);
}
