//! The identity that real peers report for the accounts of a session, with one call for each credentials.

use std::sync::Arc;

use futures_util::future::join_all;
use valetkey_backends::StsCallerIdentityProvider;
use valetkey_core::{AccountName, CallerIdentityCache, ErrorKind, SessionContext};
use valetkey_rig::{AccessKey, Moto, REGION};

use super::ministack::seeded;
use super::request_counter::RequestCounter;
use super::{client_config_at, credentials, role};
use crate::region;

#[tokio::test]
async fn caller_identity_is_fetched_once_per_credentials() {
    let (ministack, seed) = seeded().await;
    let url = ministack.url();
    let alias = |n: usize| -> AccountName { format!("tenant-{n}").parse().unwrap() };
    let session = SessionContext::builder().region(region(REGION)).build();
    for (n, tenant) in seed.tenants.iter().enumerate() {
        let role = role(tenant, &seed.broker, &url).session_name("agent-7").build().unwrap();
        session.for_account(&alias(n)).set_provider(role).unwrap();
    }
    let (base, config) = RequestCounter::client_config_at(&url);
    let lookup = Arc::new(StsCallerIdentityProvider::new(&base));
    for (n, tenant) in seed.tenants.iter().enumerate() {
        let whoami = CallerIdentityCache::new(session.account(&alias(n)).unwrap(), lookup.clone());
        for caller in join_all((0..20).map(|_| whoami.get())).await {
            let arn = format!("arn:aws:sts::{}:assumed-role/agent/agent-7", tenant.account);
            assert_eq!(caller.unwrap().arn(), arn);
        }
        assert_eq!(config.unnamed_calls(), 2 * n + 1);
        session.for_account(&alias(n)).refresh().await.unwrap();
        assert_eq!(whoami.get().await.unwrap().session_name(), Some("agent-7"));
        assert_eq!(config.unnamed_calls(), 2 * n + 2);
    }
    let unknown = crate::long_lived(crate::KEY_ID);
    session.set_credentials(unknown).unwrap();
    let default = session.account(session.default_account()).unwrap();
    assert_eq!(CallerIdentityCache::new(default, lookup).get().await.unwrap_err().kind(), ErrorKind::Denied);
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn caller_identity_from_moto_has_account_and_arn() {
    let moto = Moto::start().await.unwrap();
    let anybody = AccessKey { access_key_id: crate::KEY_ID.to_owned(), secret_access_key: "any".to_owned() };
    let session = SessionContext::builder().build();
    session.set_credentials(credentials(&anybody)).unwrap();
    let account = session.account(session.default_account()).unwrap();
    let whoami = CallerIdentityCache::new(
        account,
        Arc::new(StsCallerIdentityProvider::new(&client_config_at(&moto.url()))),
    );
    let caller = whoami.get().await.unwrap();
    assert!(
        caller.arn().contains(caller.account().as_str()) && caller.session_name().is_none(),
        "{caller:?}"
    );
    moto.stop().await.unwrap();
}
