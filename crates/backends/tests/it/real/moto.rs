//! Moto: an independent STS understands every field of a request.

use std::time::Duration;

use valetkey_backends::AssumeRoleProvider;
use valetkey_core::SecretString;
use valetkey_rig::{AccessKey, Moto, REGION};

use super::{caller_account, client_config_at, session, source_from_key};
use crate::region;

#[tokio::test]
async fn assume_role_with_all_fields_acts_in_role_account() {
    let moto = Moto::start().await.unwrap();
    let anybody = AccessKey { access_key_id: crate::KEY_ID.to_owned(), secret_access_key: "any".to_owned() };
    let role = "arn:aws:iam::111111111111:role/agent".parse().unwrap();
    let provider = AssumeRoleProvider::builder(role, source_from_key(&anybody))
        .session_name("agent-7")
        .source_identity("alice@example.org")
        .external_id("ext-111111111111")
        .session_duration(Duration::from_secs(900))
        .policy(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#)
        .policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
        .tag("team", "blue")
        .tag("tier", "low")
        .transitive_tag("team")
        .mfa("arn:aws:iam::111111111111:mfa/alice", || async { Ok(SecretString::from("123456")) })
        .region(region(REGION))
        .client_config(&client_config_at(&moto.url()))
        .build()
        .unwrap();
    let session = session(provider);
    let credentials = session.credentials().await.unwrap();
    assert_eq!(credentials.account_id().unwrap().as_str(), "111111111111");
    assert!(credentials.has_session_token() && credentials.expiry().instant().is_some());
    assert_eq!(caller_account(&session, &moto.url()).await, "111111111111");

    let before = credentials.access_key_id().clone();
    session.refresh().await.unwrap();
    assert_ne!(
        session.credentials().await.unwrap().access_key_id(),
        &before,
        "each fetch returns new credentials"
    );
    moto.stop().await.unwrap();
}
