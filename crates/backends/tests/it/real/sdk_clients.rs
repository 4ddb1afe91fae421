//! SDK clients with the configuration of a session follow its credentials until it is cleared.

use aws_sdk_s3::Client;
use valetkey_backends::SdkConfigExt;
use valetkey_core::SessionContext;
use valetkey_rig::{MiniStack, REGION};

use super::{client_config_at, credentials, role};
use crate::region;

async fn bucket_names(client: &Client) -> Vec<String> {
    let output = client.list_buckets().send().await.unwrap();
    output.buckets().iter().filter_map(|bucket| bucket.name().map(str::to_owned)).collect()
}

#[tokio::test]
async fn s3_client_follows_session_until_clear() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let (first, second) = (&seed.tenants[0], &seed.tenants[1]);
    let assumed = role(first, &seed.broker, &ministack.url()).build().unwrap();
    let session = SessionContext::builder().region(region(REGION)).provider(assumed).build();

    let client =
        Client::new(&session.sdk_config_from(client_config_at(&ministack.url()).config()).await.unwrap());
    assert_eq!(bucket_names(&client).await, [first.bucket.as_str()]);
    session.set_credentials(credentials(&second.service)).unwrap();
    assert_eq!(bucket_names(&client).await, [second.bucket.as_str()]);
    session.clear();
    assert!(client.list_buckets().send().await.is_err());
    ministack.stop().await.unwrap();
}
