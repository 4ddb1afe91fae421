//! `GetScopedCredentials` with emulators that do not know it: a narrowed session gets an error and no credentials, and
//! the session that it was narrowed from works on.

use std::sync::Arc;

use valetkey_backends::{AssumeRoleProvider, ScopedProvider};
use valetkey_core::{AccessScope, CredentialProvider, ErrorKind, SessionContext, SessionPolicy};
use valetkey_rig::{AccessKey, Moto};

use super::ministack::seeded;
use super::{caller_account, client_config_at, role, session, source_from_key};

/// The session of a source, and the error of a session narrowed from it.
async fn narrowed_session_error(
    source: impl CredentialProvider + 'static,
    url: &str,
) -> (SessionContext, ErrorKind, String) {
    let provider =
        ScopedProvider::builder(Arc::new(source)).client_config(&client_config_at(url)).build().unwrap();
    let session = session(provider);
    let child = session.narrow(AccessScope::new().policy(SessionPolicy::read_only(["s3"]).unwrap())).unwrap();
    let error = child.credentials().await.unwrap_err();
    assert_eq!(error.provider(), Some("scoped"), "{error}");
    assert!(error.next_step().is_some(), "{error}");
    (session, error.kind(), error.message().to_owned())
}

/// It fails over an action that it has never heard of.
#[tokio::test]
async fn scoped_provider_on_moto_is_unavailable() {
    let moto = Moto::start().await.unwrap();
    let anybody = AccessKey { access_key_id: crate::KEY_ID.to_owned(), secret_access_key: "any".to_owned() };
    let role = "arn:aws:iam::111111111111:role/agent".parse().unwrap();
    let role = AssumeRoleProvider::builder(role, source_from_key(&anybody)).session_name("agent-7");
    let (session, kind, message) = narrowed_session_error(
        role.client_config(&client_config_at(&moto.url())).build().unwrap(),
        &moto.url(),
    )
    .await;
    assert_eq!(
        (kind, &*message),
        (ErrorKind::Unavailable, "GetScopedCredentials returned HTTP 500 without an AWS error code")
    );
    assert!(session.credentials().await.unwrap().has_session_token());
    moto.stop().await.unwrap();
}

/// It evaluates the policies of the role first, which do not allow the unknown operation.
#[tokio::test]
async fn scoped_provider_on_ministack_is_denied() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let (session, kind, message) =
        narrowed_session_error(role(tenant, &seed.broker, &url).build().unwrap(), &url).await;
    assert_eq!((kind, &*message), (ErrorKind::Denied, "GetScopedCredentials returned AccessDenied"));
    assert_eq!(caller_account(&session, &url).await, tenant.account);
    ministack.stop().await.unwrap();
}
