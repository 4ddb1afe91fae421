//! Retry quotas: calls of one tenant that keep failing leave the retries of every other tenant alone.

use valetkey_backends::{FederationProvider, SdkConfigExt, SecretsManagerProvider};
use valetkey_core::{
    AccountGuard, CredentialProvider, Credentials, SecretString, SessionContext, SessionPolicy,
};

use crate::fault::sts_providers;
use crate::wire::{HttpFixture, refused};
use crate::{KEY_ID, long_lived, region, static_source};

/// As many failing fetches as use up one quota: 500 tokens, two retries of at least 5 tokens a fetch.
const FETCHES: usize = 60;
const ATTEMPTS: usize = 3;

fn failing() -> HttpFixture {
    HttpFixture::responding(503, refused("ServiceUnavailable", ""))
}

async fn count_attempts(wire: &HttpFixture, provider: &dyn CredentialProvider) -> usize {
    let before = wire.sent().len();
    provider.provide().await.unwrap_err();
    wire.sent().len() - before
}

async fn exhaust_quota(wire: &HttpFixture, provider: &dyn CredentialProvider) {
    assert_eq!(count_attempts(wire, provider).await, ATTEMPTS);
    for _ in 0..FETCHES {
        provider.provide().await.unwrap_err();
    }
}

#[tokio::test]
async fn retry_quota_exhausted_by_one_tenant_spares_others() {
    for index in 0..sts_providers(&failing()).len() {
        let (wire, other) = (failing(), failing());
        let (operation, provider) = &sts_providers(&wire)[index];
        exhaust_quota(&wire, &**provider).await;
        assert!(count_attempts(&wire, &**provider).await < ATTEMPTS, "{operation}: the quota is used up");
        for (operation, provider) in sts_providers(&other) {
            assert_eq!(count_attempts(&other, &*provider).await, ATTEMPTS, "{operation}");
        }
    }
}

#[tokio::test]
async fn retry_quota_of_scoped_down_provider_is_separate() {
    let policy = SessionPolicy::read_only(["s3"]).unwrap();
    let wire = failing();
    for (operation, provider) in sts_providers(&wire) {
        let narrowed = provider.narrowed(&policy).unwrap();
        exhaust_quota(&wire, &*narrowed).await;
        assert!(count_attempts(&wire, &*narrowed).await < ATTEMPTS, "{operation}");
        assert_eq!(count_attempts(&wire, &*provider).await, ATTEMPTS, "{operation}");
    }
}

#[tokio::test]
async fn retry_quota_of_guarded_account_is_separate() {
    let wire = failing();
    let guard = FederationProvider::builder(static_source()).base(&wire.base()).build_guard().unwrap();
    let of_one = guard.in_place_of(&long_lived("AKIAI44QH8DHBEXAMPLE")).unwrap();
    exhaust_quota(&wire, &*of_one).await;
    let of_other = guard.in_place_of(&long_lived(KEY_ID)).unwrap();
    assert_eq!(count_attempts(&wire, &*of_other).await, ATTEMPTS);
}

#[tokio::test]
async fn retry_quota_of_secrets_manager_read_is_separate() {
    let wire = HttpFixture::responding(500, r#"{"__type":"InternalServiceError"}"#);
    let provider =
        SecretsManagerProvider::builder("agent", static_source()).base(&wire.base()).build().unwrap();
    for _ in 0..FETCHES {
        provider.provide().await.unwrap_err();
    }
    assert_eq!(count_attempts(&wire, &provider).await, ATTEMPTS);
}

#[tokio::test]
async fn retry_quota_of_sdk_config_is_per_session_and_service() {
    let wire = failing();
    let base = wire.base();
    let clients = async || {
        let session = SessionContext::builder().region(region("us-east-1")).build();
        session.set_credentials(long_lived(KEY_ID)).unwrap();
        let config = session.sdk_config_from(base.config()).await.unwrap();
        (aws_sdk_s3::Client::new(&config), aws_sdk_sts::Client::new(&config), session)
    };
    let sent_by = async |call: std::pin::Pin<Box<dyn Future<Output = bool>>>| {
        let before = wire.sent().len();
        assert!(!call.await, "the wire fails every call");
        wire.sent().len() - before
    };
    let list = |client: &aws_sdk_s3::Client| {
        let call = client.list_buckets();
        Box::pin(async move { call.send().await.is_ok() })
    };
    let (s3, sts, _session) = clients().await;
    for _ in 0..FETCHES {
        sent_by(list(&s3)).await;
    }
    assert!(sent_by(list(&s3)).await < ATTEMPTS, "the quota is used up");
    let call = sts.get_caller_identity();
    assert_eq!(
        sent_by(Box::pin(async move { call.send().await.is_ok() })).await,
        ATTEMPTS,
        "another service"
    );
    let (s3, _, _session) = clients().await;
    assert_eq!(sent_by(list(&s3)).await, ATTEMPTS, "another session");
}

/// What the SDK derives from credentials is still there beside the quota.
#[tokio::test]
async fn sdk_config_with_account_id_sends_it_with_the_user_agent() {
    let wire = HttpFixture::responding(200, "<ListAllMyBucketsResult/>");
    let keys = Credentials::builder(KEY_ID.parse().unwrap(), SecretString::from("not-a-real-secret"));
    let keys = keys.account_id(Some("111111111111".parse().unwrap())).build().unwrap();
    let session = SessionContext::builder().region(region("us-east-1")).build();
    session.set_credentials(keys).unwrap();
    let config = session.sdk_config_from(wire.base().config()).await.unwrap();
    aws_sdk_s3::Client::new(&config).list_buckets().send().await.unwrap();
    let agent = wire.sent()[0].headers["x-amz-user-agent"].clone();
    let metrics = agent.split(' ').find_map(|part| part.strip_prefix("m/")).unwrap().to_owned();
    assert!(metrics.split(',').any(|metric| metric == "T"), "resolved account id: {agent}");
}
