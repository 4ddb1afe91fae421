//! Children: an overlay that parent and siblings never notice.

use serde_json::json;
use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{AccountName, ErrorKind, Expiry, SessionContext};

use crate::session_fixture::*;

fn parent_with_two_accounts() -> SessionContext {
    let parent = SessionContext::builder().build();
    parent.set_credentials(numbered(1, Expiry::Never)).unwrap();
    parent.for_account(&prod()).set_credentials(numbered(2, Expiry::Never)).unwrap();
    parent
}

fn prod() -> AccountName {
    "prod".parse().unwrap()
}

async fn default_number(session: &SessionContext) -> u64 {
    number(&session.credentials().await.unwrap())
}

async fn prod_number(session: &SessionContext) -> u64 {
    number(&session.for_account(&prod()).credentials().await.unwrap())
}

#[tokio::test]
async fn child_overrides_default_account_and_inherits_others() {
    let parent = parent_with_two_accounts();
    let (one, other) = (
        parent.with_credentials(numbered(10, Expiry::Never)).unwrap(),
        parent.with_credentials(numbered(20, Expiry::Never)).unwrap(),
    );
    assert_eq!(
        (default_number(&parent).await, default_number(&one).await, default_number(&other).await),
        (1, 10, 20)
    );
    assert_eq!((prod_number(&one).await, prod_number(&other).await), (2, 2));
    assert_ne!(one.id(), parent.id());
    assert_eq!(one.accounts(), parent.accounts());
}

#[tokio::test]
async fn child_changes_are_invisible_to_parent_and_siblings() {
    let parent = parent_with_two_accounts();
    let child = parent.with_credentials(numbered(10, Expiry::Never)).unwrap();
    let sibling = parent.with_credentials(numbered(20, Expiry::Never)).unwrap();
    child.set_credentials(numbered(11, Expiry::Never)).unwrap();
    child.for_account(&prod()).set_credentials(numbered(12, Expiry::Never)).unwrap();
    child.for_account(&"new".parse().unwrap()).set_credentials(numbered(13, Expiry::Never)).unwrap();
    child.set_service_context(json!({"of": "child"})).unwrap();
    assert_eq!((default_number(&parent).await, prod_number(&parent).await), (1, 2));
    assert_eq!((default_number(&sibling).await, prod_number(&sibling).await), (20, 2));
    assert_eq!((default_number(&child).await, prod_number(&child).await), (11, 12));
    assert_eq!(parent.accounts().len(), 2);
    assert!(parent.service_context().is_none() && sibling.service_context().is_none());
}

#[tokio::test]
async fn child_inherits_later_parent_changes_unless_overridden() {
    let parent = parent_with_two_accounts();
    let child = parent.with_credentials(numbered(10, Expiry::Never)).unwrap();
    parent.for_account(&prod()).set_credentials(numbered(3, Expiry::Never)).unwrap();
    parent.set_credentials(numbered(4, Expiry::Never)).unwrap();
    parent.set_service_context(json!({"of": "parent"})).unwrap();
    assert_eq!((default_number(&child).await, prod_number(&child).await), (10, 3));
    assert_eq!(child.service_context().unwrap()["of"], "parent");
}

#[tokio::test]
async fn child_cleared_does_not_fall_back_to_parent() {
    let parent = parent_with_two_accounts();
    parent.set_service_context(json!({"of": "parent"})).unwrap();
    let child = parent.with_credentials(numbered(10, Expiry::Never)).unwrap();
    child.clear();
    assert_eq!(child.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert_eq!(child.for_account(&prod()).credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert!(child.service_context().is_none());
    assert_eq!((default_number(&parent).await, prod_number(&parent).await), (1, 2));
    child.set_credentials(numbered(11, Expiry::Never)).unwrap();
    assert_eq!(default_number(&child).await, 11);
}

#[tokio::test]
async fn clear_of_parent_clears_children() {
    let parent = parent_with_two_accounts();
    let child = parent.with_credentials(numbered(10, Expiry::Never)).unwrap();
    let grandchild = child.with_credentials(numbered(100, Expiry::Never)).unwrap();
    parent.clear();
    for session in [&parent, &child, &grandchild] {
        assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::NotConfigured);
        assert!(session.current().is_none());
    }
}

#[tokio::test]
async fn child_closes_when_parent_is_dropped() {
    let parent = parent_with_two_accounts();
    let child = parent.with_credentials(numbered(10, Expiry::Never)).unwrap();
    let grandchild = child.with_credentials(numbered(100, Expiry::Never)).unwrap();
    drop(parent);
    for session in [&child, &grandchild] {
        assert!(session.is_closed());
        assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn parent_survives_end_of_children() {
    let parent = parent_with_two_accounts();
    parent.with_credentials(numbered(10, Expiry::Never)).unwrap().close();
    drop(parent.with_credentials(numbered(11, Expiry::Never)).unwrap());
    assert_eq!((default_number(&parent).await, prod_number(&parent).await), (1, 2));
}

#[tokio::test]
async fn child_with_provider_fetches_separately() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
    let provider = ScriptedProvider::new([returns(&fixture.clock, 5, HOUR)]);
    let child = fixture.session.with_provider(provider.clone()).unwrap();
    assert_eq!(default_number(&child).await, 5);
    assert_eq!(fixture.number().await.unwrap(), 1);
    assert_eq!((provider.call_count(), fixture.provider.call_count()), (1, 1));
}

#[tokio::test]
async fn account_as_provider_ends_with_its_session() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
    let source = fixture.session.account(fixture.session.default_account()).unwrap();
    let fed = builder(&fixture.clock).provider(source).build();
    assert_eq!(default_number(&fed).await, 1);
    fixture.session.close();
    let error = fed.refresh().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(fed.current().is_none(), "the end of the source is permanent");
}

#[tokio::test]
async fn child_with_expired_credentials_leaves_parent_unchanged() {
    let fixture = SessionFixture::with_cached(HOUR, |_| vec![]).await;
    let stale = expiring(&fixture.clock, 9, std::time::Duration::ZERO);
    assert_eq!(fixture.session.with_credentials(stale).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(fixture.number().await.unwrap(), 1);
}
