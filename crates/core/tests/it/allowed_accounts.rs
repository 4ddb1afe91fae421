//! Allow-lists: the only accounts that there may be.

use futures_util::FutureExt;
use valetkey_core::testing::ScriptedProvider;
use valetkey_core::{AccountName, CredentialId, ErrorKind, Expiry, MapResolver, SessionContext};

use crate::session_fixture::*;

fn account_name(name: &str) -> AccountName {
    name.parse().unwrap()
}

fn builder_allowing(names: &[&str]) -> valetkey_core::SessionBuilder {
    SessionContext::builder().allowed_accounts(names.iter().map(|name| account_name(name)))
}

fn credentials() -> valetkey_core::Credentials {
    numbered(1, Expiry::Never)
}

#[tokio::test]
async fn allowed_accounts_refuses_other_accounts() {
    let session = builder_allowing(&["prod", "default"]).build();
    session.set_credentials(credentials()).unwrap();
    session.for_account(&account_name("prod")).set_credentials(credentials()).unwrap();
    assert_eq!(session.accounts(), [account_name("default"), account_name("prod")]);
    let refusals = [
        session.for_account(&account_name("dev")).set_credentials(credentials()).unwrap_err(),
        session.for_account(&account_name("dev")).set_provider(ScriptedProvider::new([])).unwrap_err(),
    ];
    for error in refusals {
        assert_eq!((error.kind(), error.field()), (ErrorKind::Denied, Some("account")), "{error}");
        assert_eq!(error.next_step(), Some("use one of: prod, default"));
    }
    let unknown = session.for_account(&account_name("dev")).credentials().await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotConfigured);
    assert_eq!(session.accounts().len(), 2);
}

#[tokio::test]
async fn allowed_accounts_drops_other_providers() {
    let other = ScriptedProvider::new([]);
    let session = builder_allowing(&["prod"])
        .provider(other.clone())
        .provider_for(account_name("dev"), other.clone())
        .provider_for(
            account_name("prod"),
            ScriptedProvider::new([valetkey_core::testing::Script::Answer(credentials())]),
        )
        .build();
    assert_eq!(session.accounts(), [account_name("prod")]);
    assert_eq!(number(&session.for_account(&account_name("prod")).credentials().await.unwrap()), 1);
    assert!(session.for_account(&account_name("dev")).credentials().await.is_err());
    assert_eq!(other.call_count(), 0);
}

#[tokio::test]
async fn allowed_accounts_selects_default_account() {
    for (named, allowed, default) in [
        (None, vec!["prod", "default"], "default"),
        (None, vec!["prod", "dev"], "prod"),
        (Some("dev"), vec!["prod", "dev"], "dev"),
        (Some("other"), vec!["prod", "dev"], "prod"),
    ] {
        let builder = builder_allowing(&allowed);
        let builder =
            named.map(account_name).into_iter().fold(builder, valetkey_core::SessionBuilder::default_account);
        let session = builder.build();
        assert_eq!(session.default_account(), &account_name(default), "{named:?} of {allowed:?}");
        session.set_credentials(credentials()).unwrap();
        assert_eq!(number(&session.credentials().now_or_never().unwrap().unwrap()), 1);
    }
}

#[tokio::test]
async fn allowed_accounts_empty_refuses_everything() {
    let id: CredentialId = "id".parse().unwrap();
    let resolver = MapResolver::new().with(id.clone(), credentials());
    let provider = ScriptedProvider::new([valetkey_core::testing::Script::Answer(credentials())]);
    let session = builder_allowing(&[]).resolver(resolver).provider(provider.clone()).build();
    assert!(session.accounts().is_empty());
    assert_eq!(session.set_credentials(credentials()).unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(session.set_from_resolver(&id, None).await.unwrap_err().kind(), ErrorKind::Denied);
    assert!(
        session.with_credentials(credentials()).is_err() && session.with_provider(provider.clone()).is_err()
    );
    assert!(
        session.credentials().await.is_err()
            && session.for_account(&account_name("default")).credentials().await.is_err()
    );
    assert!(session.narrow(valetkey_core::AccessScope::new()).is_err());
    assert_eq!(provider.call_count(), 0);
}

#[tokio::test]
async fn allowed_accounts_applies_to_children() {
    let session = builder_allowing(&["prod", "default"]).build();
    session.set_credentials(credentials()).unwrap();
    let child = session.with_credentials(numbered(2, Expiry::Never)).unwrap();
    let grandchild = child.with_credentials(numbered(3, Expiry::Never)).unwrap();
    for session in [&child, &grandchild] {
        let error = session.for_account(&account_name("dev")).set_credentials(credentials()).unwrap_err();
        assert_eq!((error.kind(), error.next_step()), (ErrorKind::Denied, Some("use one of: prod, default")));
        session.for_account(&account_name("prod")).set_credentials(credentials()).unwrap();
    }
    assert!(session.narrow(valetkey_core::AccessScope::new().accounts([account_name("dev")])).is_err());
}
