//! Narrowed children: less authority, of which nothing can be got back.

mod bounds;
mod cache;
mod nesting;
mod policy;
mod role;
mod view;

use std::sync::Arc;

use valetkey_core::audit::{AuditEvent, InMemoryAudit};
use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{
    AccessScope, AccountName, CredentialId, CredentialProvider, ErrorKind, Expiry, MapResolver,
    ProviderChain, SessionContext, SessionPolicy,
};

use crate::session_fixture::*;
use role::NarrowableProvider;

fn account_name(name: &str) -> AccountName {
    name.parse().unwrap()
}

fn policy_allowing(actions: &str) -> SessionPolicy {
    let statement = format!(r#"{{"Effect":"Allow","Action":{actions},"Resource":"*"}}"#);
    format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#).parse().unwrap()
}

fn read_policy() -> SessionPolicy {
    policy_allowing(r#""s3:Get*""#)
}

async fn account_number(session: &SessionContext, account: &str) -> valetkey_core::Result<u64> {
    session.for_account(&account_name(account)).credentials().await.map(|set| number(&set))
}

#[tokio::test]
async fn narrowed_session_is_read_only() {
    let id: CredentialId = "somebodys".parse().unwrap();
    let resolver = MapResolver::new().with(id.clone(), numbered(9, Expiry::Never));
    let session = SessionContext::builder().resolver(resolver).provider(NarrowableProvider::new(100)).build();
    for scope in [AccessScope::new(), AccessScope::new().policy(read_policy())] {
        let child = session.narrow(scope).unwrap();
        let before = account_number(&child, "default").await.unwrap();
        let set = || numbered(9, Expiry::Never);
        let none = || ScriptedProvider::new([]);
        let refusals = [
            child.set_credentials(set()).unwrap_err(),
            child.for_account(&account_name("default")).set_credentials(set()).unwrap_err(),
            child.for_account(&account_name("new")).set_credentials(set()).unwrap_err(),
            child.for_account(&account_name("default")).set_provider(none()).unwrap_err(),
            child.set_from_resolver(&id, None).await.unwrap_err(),
            child.with_credentials(set()).unwrap_err(),
            child.with_provider(none()).unwrap_err(),
        ];
        for error in refusals {
            assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
            assert!(error.next_step().is_some(), "{error}");
        }
        assert_eq!(account_number(&child, "default").await.unwrap(), before);
        assert_eq!(child.accounts(), [account_name("default")]);
        child.set_service_context(serde_json::json!({"what": "facts are no authority"})).unwrap();
    }
}

#[tokio::test]
async fn narrow_empty_access_scope_is_refused() {
    let session = SessionContext::builder().provider(NarrowableProvider::new(100)).build();
    for (scope, kind, field) in [
        (AccessScope::new().accounts([]), ErrorKind::Invalid, "accounts"),
        (AccessScope::new().accounts([account_name("prod")]), ErrorKind::NotConfigured, "account"),
        (AccessScope::new().lifetime(std::time::Duration::ZERO), ErrorKind::Invalid, "lifetime"),
        (AccessScope::new().lifetime(std::time::Duration::MAX), ErrorKind::Invalid, "lifetime"),
    ] {
        let error = session.narrow(scope).unwrap_err();
        assert_eq!((error.kind(), error.field()), (kind, Some(field)), "{error}");
    }
    session.close();
    assert_eq!(session.narrow(AccessScope::new()).unwrap_err().kind(), ErrorKind::Closed);
    let scope = AccessScope::new().accounts([account_name("default")]).policy(read_policy());
    assert_eq!(session.narrow(scope).unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn narrow_and_its_refusal_are_audited() {
    let audit = Arc::new(InMemoryAudit::default());
    let clock = valetkey_core::testing::ManualClock::new();
    let session = builder(&clock)
        .audit(audit.clone())
        .provider(NarrowableProvider::new(100))
        .provider_for(account_name("prod"), NarrowableProvider::new(200))
        .provider_for(account_name("keys"), ScriptedProvider::new([]))
        .build();
    let scope = || AccessScope::new().policy(read_policy()).lifetime(HOUR);
    let child = session.narrow(scope().accounts([account_name("prod"), account_name("default")])).unwrap();
    session.narrow(scope()).unwrap_err();
    let records = audit.records();
    let narrow = &records[0];
    assert_eq!((narrow.event, narrow.session), (AuditEvent::Narrow, session.id()));
    let details = narrow.narrow.as_ref().unwrap();
    assert_eq!(details.child, child.id());
    assert_eq!(details.accounts, [account_name("default"), account_name("prod")]);
    assert_eq!(details.policy, Some(read_policy().digest()));
    assert_eq!(details.expires_at.to_string(), "2026-11-21T13:00:00Z");
    let json = serde_json::to_value(narrow).unwrap();
    assert_eq!(json["narrow"]["policy"], read_policy().digest().to_string());
    let deny = &records[1];
    assert_eq!((deny.event, deny.failure), (AuditEvent::Deny, Some(ErrorKind::Invalid)));
    assert_eq!(deny.account, Some(account_name("keys")));
    assert!(serde_json::to_value(deny).unwrap().get("narrow").is_none());
}

#[tokio::test]
async fn provider_chain_scope_down_covers_all_or_fails() {
    let (first, second) = (NarrowableProvider::not_configured(), NarrowableProvider::new(200));
    let chain = ProviderChain::new(first.clone()).or_else(Arc::new(second.clone()));
    let narrowed = chain.scope_down(&read_policy()).unwrap();
    assert_eq!(number(&narrowed.provide().await.unwrap()), 200);
    assert_eq!(
        second.issued_policies(),
        [Some(read_policy())],
        "the provider that returns credentials is narrowed"
    );
    let chain = chain.or_else(ScriptedProvider::new([]));
    let error = chain.scope_down(&read_policy()).unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Invalid, Some("scripted")), "{error}");
    assert!(error.next_step().is_some(), "{error}");
}

#[tokio::test]
async fn account_as_provider_is_scoped_down_at_its_source() {
    let role = NarrowableProvider::new(100);
    let lender = SessionContext::builder().provider(role.clone()).build();
    let lent = lender.account(lender.default_account()).unwrap();
    let borrower = SessionContext::builder().provider(lent.clone()).build();
    let child = borrower.narrow(AccessScope::new().policy(read_policy())).unwrap();
    assert_eq!(account_number(&child, "default").await.unwrap(), 100);
    assert_eq!(role.issued_policies(), [Some(read_policy())]);
    number(&lender.scope_down(&read_policy()).unwrap().provide().await.unwrap());
    assert_eq!(role.issued_policies().len(), 2);
    lender.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert!(lender.scope_down(&read_policy()).is_err() && lent.scope_down(&read_policy()).is_err());
    child.for_account(&account_name("default")).refresh().await.unwrap_err();
    assert_eq!(
        role.issued_policies().len(),
        2,
        "manually set credentials are not narrowed, and no provider replaces them"
    );
}
