//! Three accounts of one session, used concurrently by many tasks: each call is signed as its own account.

use aws_sdk_sts::Client;
use valetkey_backends::{MemoryProvider, SdkConfigExt};
use valetkey_core::{AccountName, ErrorKind, SessionContext};
use valetkey_rig::REGION;

use super::ministack::seeded;
use super::{client_config_at, credentials, role, source_from_key};
use crate::region;

/// The account that the peer takes one call for.
async fn account_at_peer(session: &SessionContext, alias: &AccountName, url: &str) -> String {
    let account = session.account(alias).unwrap();
    let client = Client::new(&account.sdk_config_from(client_config_at(url).config()).await.unwrap());
    client.get_caller_identity().send().await.unwrap().account.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_calls_sign_as_their_own_account() {
    let (ministack, seed) = seeded().await;
    let url = ministack.url();
    let alias = |name: &str| -> AccountName { name.parse().unwrap() };
    let session = SessionContext::builder()
        .region(region(REGION))
        .default_account(alias("broker"))
        .provider(MemoryProvider::from(credentials(&seed.broker)))
        .provider_for(alias("first"), role(&seed.tenants[0], &seed.broker, &url).build().unwrap())
        .provider_for(alias("second"), role(&seed.tenants[1], &seed.broker, &url).build().unwrap())
        .build();
    let owners = [
        (alias("broker"), seed.broker_account.clone()),
        (alias("first"), seed.tenants[0].account.clone()),
        (alias("second"), seed.tenants[1].account.clone()),
    ];
    let task = |n: usize| {
        let (session, owners, url) = (session.clone(), owners.clone(), url.clone());
        tokio::spawn(async move {
            for call in 0..6 {
                let (alias, owner) = &owners[(n + call) % owners.len()];
                if call % 3 == 2 && alias.as_str() != "broker" {
                    session.for_account(alias).refresh().await.unwrap();
                }
                assert_eq!(&account_at_peer(&session, alias, &url).await, owner, "{alias}");
            }
        })
    };
    for task in (0..12).map(task).collect::<Vec<_>>() {
        task.await.unwrap();
    }
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn untrusted_role_fails_without_affecting_other_account() {
    let (ministack, seed) = seeded().await;
    let url = ministack.url();
    let alias = |name: &str| -> AccountName { name.parse().unwrap() };
    // The role of the second tenant trusts the broker, and not the first tenant's user.
    let stranger = valetkey_backends::AssumeRoleProvider::builder(
        seed.tenants[1].role_arn.parse().unwrap(),
        source_from_key(&seed.tenants[0].service),
    );
    let stranger = stranger
        .external_id(&seed.tenants[1].external_id)
        .client_config(&client_config_at(&url))
        .build()
        .unwrap();
    let session = SessionContext::builder()
        .region(region(REGION))
        .provider_for(alias("first"), role(&seed.tenants[0], &seed.broker, &url).build().unwrap())
        .provider_for(alias("crossed"), stranger)
        .build();
    for _ in 0..2 {
        assert_eq!(account_at_peer(&session, &alias("first"), &url).await, seed.tenants[0].account);
        let refused = session.for_account(&alias("crossed")).credentials().await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.provider()),
            (ErrorKind::Denied, Some("assume-role")),
            "{refused}"
        );
    }
    ministack.stop().await.unwrap();
}
