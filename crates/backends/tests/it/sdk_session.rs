//! A session as the SDK's configuration, with a recorded HTTP client.

use std::sync::Arc;

use aws_sdk_s3::Client;
use valetkey_backends::{AwsClientConfig, SdkConfigExt};
use valetkey_core::audit::{AuditEvent, InMemoryAudit};
use valetkey_core::testing::{Script, ScriptedProvider};
use valetkey_core::{AccountName, Error, ErrorKind, SessionContext};

use crate::http_fixture::HttpFixture;
use crate::{long_lived, region};

const OTHER: &str = "AKIAI44QH8DHBEXAMPLE";
const BUCKETS: &str = "<ListAllMyBucketsResult/>";

fn session() -> SessionContext {
    SessionContext::builder().region(region("eu-central-1")).build()
}

fn signing_key_ids(http: &HttpFixture) -> Vec<String> {
    let key_id = |header: &str| header.split(['=', '/']).nth(1).unwrap().to_owned();
    http.requests().iter().map(|sent| key_id(&sent.headers["authorization"])).collect()
}

#[tokio::test]
async fn sdk_client_follows_session_credentials_until_drop() {
    let (http, session) = (HttpFixture::responding(200, BUCKETS), session());
    // Made before there are any credentials.
    let config = session.sdk_config_from(http.client_config().config()).await.unwrap();
    let client = Client::new(&config);
    assert!(client.list_buckets().send().await.is_err());
    session.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    client.list_buckets().send().await.unwrap();
    session.set_credentials(long_lived(OTHER)).unwrap();
    client.list_buckets().send().await.unwrap();
    session.clear();
    assert!(client.list_buckets().send().await.is_err());
    session.set_credentials(long_lived(OTHER)).unwrap();
    client.list_buckets().send().await.unwrap();
    drop(session);
    assert!(client.list_buckets().send().await.is_err());
    assert_eq!(signing_key_ids(&http), [crate::KEY_ID, OTHER, OTHER]);
}

#[tokio::test]
async fn sdk_clients_of_two_sessions_sign_separately() {
    let http = HttpFixture::responding(200, BUCKETS);
    let (first, second) = (session(), session());
    first.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    second.set_credentials(long_lived(OTHER)).unwrap();
    let base = http.client_config();
    let (first, second) = (
        Client::new(&first.sdk_config_from(base.config()).await.unwrap()),
        Client::new(&second.sdk_config_from(base.config()).await.unwrap()),
    );
    for client in [&first, &second, &first] {
        client.list_buckets().send().await.unwrap();
    }
    assert_eq!(signing_key_ids(&http), [crate::KEY_ID, OTHER, crate::KEY_ID]);
}

#[tokio::test]
async fn sdk_config_of_account_signs_as_account() {
    let (http, session, prod) =
        (HttpFixture::responding(200, BUCKETS), session(), "prod".parse::<AccountName>().unwrap());
    session.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    session.for_account(&prod).set_credentials(long_lived(OTHER)).unwrap();
    let config =
        session.account(&prod).unwrap().sdk_config_from(http.client_config().config()).await.unwrap();
    Client::new(&config).list_buckets().send().await.unwrap();
    assert_eq!(signing_key_ids(&http), [OTHER]);
}

#[tokio::test]
async fn sdk_config_region_credentials_then_session_then_base() {
    let base = AwsClientConfig::new().region(&region("us-east-1"));
    let of = async |session: &SessionContext| {
        session.sdk_config_from(base.config()).await.unwrap().region().unwrap().to_string()
    };
    assert_eq!(of(&SessionContext::builder().build()).await, "us-east-1");
    assert_eq!(of(&session()).await, "eu-central-1");
    // Credentials that are not fetched before their region is needed.
    let lazy = ScriptedProvider::new([Script::Answer(long_lived(OTHER).with_region(region("us-west-2")))]);
    assert_eq!(
        of(&SessionContext::builder().region(region("eu-central-1")).provider(lazy).build()).await,
        "us-west-2"
    );
}

#[tokio::test]
async fn sdk_config_without_region_uses_us_east_1() {
    let session = SessionContext::builder().build();
    session.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    let config = session.sdk_config_from(AwsClientConfig::new().config()).await.unwrap();
    assert_eq!(config.region().unwrap().as_ref(), "us-east-1");
    assert_eq!(session.credentials().await.unwrap().region(), None, "a default is not stored");
}

#[tokio::test]
async fn sdk_config_from_process_disables_identity_cache() {
    let config = session().sdk_config().await.unwrap();
    assert_eq!(config.region().unwrap().as_ref(), "eu-central-1");
    assert!(
        format!("{:?}", config.identity_cache()).contains("SessionIdentityCache"),
        "{:?}",
        config.identity_cache()
    );
}

#[tokio::test]
async fn sdk_config_of_failed_or_closed_session_is_error() {
    let base = AwsClientConfig::new();
    let denied = ScriptedProvider::new([Script::Fail(Error::new(ErrorKind::Denied, "no"))]);
    let session = SessionContext::builder().region(region("us-east-1")).provider(denied).build();
    assert_eq!(session.sdk_config_from(base.config()).await.unwrap_err().kind(), ErrorKind::Denied);
    session.close();
    assert_eq!(session.sdk_config_from(base.config()).await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn sdk_client_does_not_keep_session_open() {
    let (audit, http) = (Arc::new(InMemoryAudit::default()), HttpFixture::responding(200, BUCKETS));
    let session = SessionContext::builder().region(region("us-east-1")).audit(audit.clone()).build();
    session.set_credentials(long_lived(crate::KEY_ID)).unwrap();
    let client = Client::new(&session.sdk_config_from(http.client_config().config()).await.unwrap());
    client.list_buckets().send().await.unwrap();
    session.clear();
    client.list_buckets().send().await.unwrap_err();
    drop(session);
    let events: Vec<_> = audit.records().iter().map(|record| record.event).collect();
    use AuditEvent::{Clear, Close, Deny, Serve, Set};
    assert_eq!(events, [Set, Serve, Clear, Deny, Close]);
}

#[tokio::test]
async fn sdk_client_error_contains_session_message() {
    let (http, session) = (HttpFixture::responding(200, BUCKETS), session());
    let client = Client::new(&session.sdk_config_from(http.client_config().config()).await.unwrap());
    let error = client.list_buckets().send().await.unwrap_err();
    let text = aws_sdk_s3::error::DisplayErrorContext(&error).to_string();
    assert!(text.contains("no credentials are set in this session"), "{text}");
    assert!(http.requests().is_empty());
}
