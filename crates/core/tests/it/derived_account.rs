//! Accounts whose provider works with the credentials of another account, as an assumed role does.

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{
    AccountName, CredentialProvider, Credentials, Error, Expiry, Result, SessionAccount, SessionContext,
};

use crate::session_fixture::*;

/// Makes set `n + 100` out of set `n`.
#[derive(Debug)]
struct DerivedProvider(SessionAccount);

#[async_trait]
impl CredentialProvider for DerivedProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("derived")
    }

    async fn provide(&self) -> Result<Credentials> {
        let source = self.0.credentials().await;
        let source = source.map_err(|error| Error::invalid("source", "has nothing").with_source(error))?;
        Ok(numbered(number(&source) + 100, Expiry::Never))
    }
}

fn role() -> AccountName {
    "role".parse().unwrap()
}

fn session() -> SessionContext {
    let session = SessionContext::builder().build();
    let source = session.account(session.default_account()).unwrap();
    session.for_account(&role()).set_provider(DerivedProvider(source)).unwrap();
    session
}

async fn role_number(session: &SessionContext) -> u64 {
    number(&session.for_account(&role()).credentials().await.unwrap())
}

#[tokio::test]
async fn derived_account_refetches_when_source_changes() {
    let session = session();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert_eq!(role_number(&session).await, 101);
    session.set_credentials(numbered(2, Expiry::Never)).unwrap();
    assert_eq!(role_number(&session).await, 102, "the role of the previous credentials is never served");
}

#[tokio::test]
async fn derived_account_retries_when_source_appears() {
    let session = session();
    assert!(session.for_account(&role()).credentials().await.is_err());
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    assert_eq!(role_number(&session).await, 101, "the failure before is not held against it");
}

#[tokio::test]
async fn derived_account_discards_fetch_from_replaced_source() {
    let session = SessionContext::builder().build();
    let gated = ScriptedProvider::blocked([
        valetkey_core::testing::Script::Answer(numbered(101, Expiry::Never)),
        valetkey_core::testing::Script::Answer(numbered(102, Expiry::Never)),
    ]);
    session.for_account(&role()).set_provider(gated.clone()).unwrap();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let account = session.for_account(&role());
    let mut caller: std::pin::Pin<Box<dyn Future<Output = Result<Credentials>> + Send>> =
        Box::pin(account.credentials());
    assert!(poll_once(&mut caller).await.is_none());
    session.set_credentials(numbered(2, Expiry::Never)).unwrap();
    gated.release(2);
    caller.await.unwrap();
    assert_eq!(gated.call_count(), 2, "the fetch that was under way was void, and another was made");
}

#[tokio::test]
async fn derived_account_of_parent_ignores_child_override() {
    let session = session();
    session.set_credentials(numbered(1, Expiry::Never)).unwrap();
    let before =
        (role_number(&session).await, session.for_account(&role()).watch_rotations().unwrap().current());
    let child = session.with_credentials(numbered(2, Expiry::Never)).unwrap();
    assert_eq!(number(&child.credentials().await.unwrap()), 2);
    assert_eq!(
        (role_number(&session).await, session.for_account(&role()).watch_rotations().unwrap().current()),
        before
    );
}
