//! The facade alone is enough to implement and to test a provider.

use std::borrow::Cow;

use valetkey::testing::{Script, ScriptedProvider, contract};
use valetkey::{CredentialProvider, Credentials, Error, ErrorKind, Result, SessionContext, async_trait};

#[derive(Debug)]
struct StoreProvider;

#[async_trait]
impl CredentialProvider for StoreProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("store")
    }

    async fn provide(&self) -> Result<Credentials> {
        Err(Error::not_configured("there is no store").with_provider(self.name()))
    }
}

#[tokio::test]
async fn facade_implements_and_checks_provider_without_core() {
    assert_eq!(contract::faults(&StoreProvider, &[]).await, Vec::<String>::new());
    let scripted = ScriptedProvider::new([Script::Fail(Error::new(ErrorKind::Denied, "no"))]);
    let session = SessionContext::builder().provider(scripted.clone()).build();
    assert_eq!(session.credentials().await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(scripted.call_count(), 1);
}
