//! Adoption: a session takes the credentials of a credential id.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use valetkey_core::{
    AccountStatus, CredentialId, CredentialResolver, Credentials, ErrorKind, Expiry, MapResolver, Region,
    Result, SessionContext,
};

use crate::session_fixture::*;

fn credential_id(text: &str) -> CredentialId {
    text.parse().unwrap()
}

fn session() -> SessionContext {
    let resolver = MapResolver::new().with(credential_id("one"), numbered(1, Expiry::Never));
    SessionContext::builder().resolver(resolver).build()
}

#[tokio::test]
async fn set_from_resolver_applies_given_region() {
    let session = session();
    let region: Region = "eu-west-1".parse().unwrap();
    let adopted = session.set_from_resolver(&credential_id("one"), Some(region.clone())).await.unwrap();
    assert_eq!((adopted.key_suffix.as_deref(), adopted.region), (Some("0001"), Some(region.clone())));
    assert_eq!(number(&session.credentials().await.unwrap()), 1);
    assert_eq!(session.credentials().await.unwrap().region(), Some(&region));
}

#[tokio::test]
async fn set_from_resolver_unknown_id_keeps_credentials() {
    let session = session();
    session.set_credentials(numbered(9, Expiry::Never)).unwrap();
    let error = session.set_from_resolver(&credential_id("other"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(!error.to_string().contains("other-"));
    assert_eq!(number(&session.credentials().await.unwrap()), 9);
}

#[tokio::test]
async fn set_from_resolver_expired_keeps_credentials() {
    let clock = valetkey_core::testing::ManualClock::new();
    let resolver =
        MapResolver::new().with(credential_id("one"), expiring(&clock, 1, std::time::Duration::ZERO));
    let session = builder(&clock).resolver(resolver).build();
    session.set_credentials(numbered(9, Expiry::Never)).unwrap();
    assert_eq!(
        session.set_from_resolver(&credential_id("one"), None).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(number(&session.credentials().await.unwrap()), 9);
}

#[tokio::test]
async fn set_from_resolver_without_resolver_is_not_configured() {
    let error =
        SessionContext::builder().build().set_from_resolver(&credential_id("one"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConfigured);
    assert!(error.next_step().is_some());
}

/// Resolves once it has a permit.
#[derive(Debug, Clone)]
struct BlockingResolver(Arc<Semaphore>);

#[async_trait]
impl CredentialResolver for BlockingResolver {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("slow")
    }

    async fn resolve(&self, _: &CredentialId) -> Result<Credentials> {
        self.0.acquire().await.unwrap().forget();
        Ok(numbered(1, Expiry::Never))
    }
}

/// A session whose adoption is under way.
async fn start_set_from_resolver()
-> (SessionContext, BlockingResolver, tokio::task::JoinHandle<Result<AccountStatus>>) {
    let slow = BlockingResolver(Arc::new(Semaphore::new(0)));
    let session = SessionContext::builder().resolver(slow.clone()).build();
    let adopting = session.clone();
    let task = tokio::spawn(async move { adopting.set_from_resolver(&credential_id("one"), None).await });
    settle().await;
    (session, slow, task)
}

#[tokio::test]
async fn clear_during_set_from_resolver_wins() {
    let (session, slow, task) = start_set_from_resolver().await;
    session.clear();
    slow.0.add_permits(1);
    let error = task.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(session.current().is_none());
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
}

#[tokio::test]
async fn close_during_set_from_resolver_wins() {
    let (session, slow, task) = start_set_from_resolver().await;
    session.close();
    slow.0.add_permits(1);
    assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(session.current().is_none());
}

#[tokio::test]
async fn set_from_resolver_concurrent_calls_both_succeed() {
    let (session, slow, task) = start_set_from_resolver().await;
    let (second, account) = (session.clone(), session.default_account().clone());
    let second = tokio::spawn(async move { second.set_from_resolver(&credential_id("one"), None).await });
    slow.0.add_permits(2);
    assert!(task.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert_eq!(session.for_account(&account).watch_rotations().unwrap().current().get(), 2);
}

#[tokio::test]
async fn set_from_resolver_of_account_sets_only_that_account() {
    let session = session();
    let prod = session.for_account(&"prod".parse().unwrap());
    prod.set_from_resolver(&credential_id("other"), None).await.unwrap_err();
    assert!(session.accounts().len() == 1, "a failed lookup adds no account");
    let status = prod.set_from_resolver(&credential_id("one"), None).await.unwrap();
    assert_eq!((status.account.as_str(), status.default), ("prod", false));
    assert_eq!(number(&prod.credentials().await.unwrap()), 1);
    assert!(session.current().is_none());
}

#[tokio::test]
async fn clear_during_set_from_resolver_of_account_wins() {
    let slow = BlockingResolver(Arc::new(Semaphore::new(0)));
    let session = SessionContext::builder().resolver(slow.clone()).build();
    let prod = session.for_account(&"prod".parse().unwrap());
    let task = tokio::spawn({
        let prod = prod.clone();
        async move { prod.set_from_resolver(&credential_id("one"), None).await }
    });
    settle().await;
    session.clear();
    slow.0.add_permits(2);
    assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(prod.current().is_none());
    prod.set_from_resolver(&credential_id("one"), None).await.unwrap();
    assert_eq!(number(&prod.credentials().await.unwrap()), 1, "a later lookup may set it again");
}
