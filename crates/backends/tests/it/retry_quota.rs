//! Retry quotas: failing calls of one tenant do not use up the retries of another.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use aws_smithy_async::time::TimeSource;
use valetkey_backends::{
    AwsClientConfig, SdkConfigExt, SecretsManagerProvider, SecretsManagerResolver, SessionTokenProvider,
    StsCallerIdentityProvider,
};
use valetkey_core::{
    CallerIdentityProvider, Clock, CredentialProvider, CredentialResolver, Credentials, KeyExchange,
    SecretString, SessionContext, SessionPolicy, SystemClock,
};

use crate::error_codes::sts_providers;
use crate::http_fixture::{HttpFixture, refused};
use crate::{KEY_ID, long_lived, region, static_source};

/// As many failing fetches as use up one quota: 500 tokens, two retries of at least 5 tokens a fetch.
pub(crate) const FETCHES: usize = 60;
pub(crate) const ATTEMPTS: usize = 3;

fn failing_http() -> HttpFixture {
    HttpFixture::responding(503, refused("ServiceUnavailable", ""))
}

pub(crate) async fn count_attempts(http: &HttpFixture, provider: &dyn CredentialProvider) -> usize {
    let before = http.requests().len();
    provider.provide().await.unwrap_err();
    http.requests().len() - before
}

async fn exhaust_quota(http: &HttpFixture, provider: &dyn CredentialProvider) {
    assert_eq!(count_attempts(http, provider).await, ATTEMPTS);
    for _ in 0..FETCHES {
        provider.provide().await.unwrap_err();
    }
}

#[tokio::test]
async fn retry_quota_exhausted_by_one_tenant_spares_others() {
    for index in 0..sts_providers(&failing_http()).len() {
        let (http, other) = (failing_http(), failing_http());
        let (operation, provider) = &sts_providers(&http)[index];
        exhaust_quota(&http, &**provider).await;
        assert!(count_attempts(&http, &**provider).await < ATTEMPTS, "{operation}: the quota is used up");
        for (operation, provider) in sts_providers(&other) {
            assert_eq!(count_attempts(&other, &*provider).await, ATTEMPTS, "{operation}");
        }
    }
}

#[tokio::test]
async fn retry_quota_of_scoped_down_provider_is_separate() {
    let policy = SessionPolicy::read_only(["s3"]).unwrap();
    let http = failing_http();
    for (operation, provider) in sts_providers(&http) {
        let narrowed = provider.scope_down(&policy).unwrap();
        exhaust_quota(&http, &*narrowed).await;
        assert!(count_attempts(&http, &*narrowed).await < ATTEMPTS, "{operation}");
        assert_eq!(count_attempts(&http, &*provider).await, ATTEMPTS, "{operation}");
    }
}

#[tokio::test]
async fn retry_quota_of_guarded_account_is_separate() {
    let http = failing_http();
    let guard = SessionTokenProvider::builder(static_source())
        .client_config(&http.client_config())
        .build_key_exchange()
        .unwrap();
    let of_one = guard.exchange_for(&long_lived("AKIAI44QH8DHBEXAMPLE")).unwrap();
    exhaust_quota(&http, &*of_one).await;
    let of_other = guard.exchange_for(&long_lived(KEY_ID)).unwrap();
    assert_eq!(count_attempts(&http, &*of_other).await, ATTEMPTS);
}

/// What one instance serves many sessions with has a quota for each call.
#[tokio::test]
async fn retry_quota_of_shared_fetch_is_per_call() {
    let http = HttpFixture::responding(500, r#"{"__type":"InternalServiceError"}"#);
    let base = http.client_config();
    let provider =
        SecretsManagerProvider::builder("agent", static_source()).client_config(&base).build().unwrap();
    let resolver =
        SecretsManagerResolver::builder("tenants/", static_source()).client_config(&base).build().unwrap();
    let (lookup, id) = (StsCallerIdentityProvider::new(&base), "prod".parse().unwrap());
    for _ in 0..FETCHES {
        provider.provide().await.unwrap_err();
        resolver.resolve(&id).await.unwrap_err();
        lookup.caller_identity(&long_lived(KEY_ID)).await.unwrap_err();
    }
    assert_eq!(count_attempts(&http, &provider).await, ATTEMPTS);
    let sent = http.requests().len();
    resolver.resolve(&id).await.unwrap_err();
    assert_eq!(http.requests().len() - sent, ATTEMPTS);
    let sent = http.requests().len();
    lookup.caller_identity(&long_lived(KEY_ID)).await.unwrap_err();
    assert_eq!(http.requests().len() - sent, ATTEMPTS);
}

/// Every public type that makes AWS calls is in a table of these tests, or is known to make none.
#[test]
fn retry_quota_tests_cover_every_public_type() {
    let calling = [
        "AssumeRoleProvider: sts_providers",
        "DefaultChainProvider: ambient::retries",
        "FederationTokenProvider: sts_providers",
        "ProfileProvider: ambient::retries",
        "ScopedProvider: sts_providers",
        "SdkConfigExt: retry_quota_of_sdk_config_is_per_session_and_service",
        "SecretsManagerProvider: retry_quota_of_shared_fetch_is_per_call",
        "SecretsManagerResolver: retry_quota_of_shared_fetch_is_per_call",
        "SessionTokenProvider: sts_providers",
        "StsCallerIdentityProvider: retry_quota_of_shared_fetch_is_per_call",
        "StsKeyExchange: retry_quota_of_guarded_account_is_separate",
        "WebIdentityProvider: sts_providers",
    ];
    // The host creates the provider inside an `SdkProvider`, and its clients.
    let without_client = [
        "EnvProvider",
        "MemoryProvider",
        "ProcessProvider",
        "SdkProvider",
        "SecretProvider",
        "SessionCredentialsProvider",
    ];
    let mut known: Vec<&str> = calling.iter().map(|line| line.split(':').next().unwrap()).collect();
    known.extend(without_client);
    known.sort_unstable();
    let is_name = |c: char| !c.is_alphanumeric();
    let exports = include_str!("../../src/lib.rs").split(';').filter_map(|item| item.split_once("pub use "));
    let mut public: Vec<&str> = exports
        .flat_map(|(_, names)| names.split(is_name))
        .filter(|name| ["Provider", "Resolver", "Exchange", "Ext"].iter().any(|end| name.ends_with(end)))
        .collect();
    public.sort_unstable();
    assert_eq!(public, known);
}

async fn sdk_config(base: &AwsClientConfig) -> (SdkConfig, SessionContext) {
    let session = SessionContext::builder().region(region("us-east-1")).build();
    session.set_credentials(long_lived(KEY_ID)).unwrap();
    (session.sdk_config_from(base.config()).await.unwrap(), session)
}

/// How many requests a call is that fails.
async fn requests(http: &HttpFixture, call: impl Future<Output = bool>) -> usize {
    let before = http.requests().len();
    assert!(!call.await, "the wire fails every call");
    http.requests().len() - before
}

async fn list(client: &aws_sdk_s3::Client) -> bool {
    client.list_buckets().send().await.is_ok()
}

async fn identify(client: &aws_sdk_sts::Client) -> bool {
    client.get_caller_identity().send().await.is_ok()
}

/// A call that is not signed.
async fn assume(client: &aws_sdk_sts::Client) -> bool {
    let call = client.assume_role_with_web_identity().web_identity_token("token").role_session_name("agent");
    call.role_arn("arn:aws:iam::222222222222:role/agent").send().await.is_ok()
}

#[tokio::test]
async fn retry_quota_of_sdk_config_is_per_session_and_service() {
    let http = failing_http();
    let base = http.client_config();
    let (config, _session) = sdk_config(&base).await;
    let (s3, sts) = (aws_sdk_s3::Client::new(&config), aws_sdk_sts::Client::new(&config));
    for _ in 0..FETCHES {
        requests(&http, list(&s3)).await;
    }
    assert!(requests(&http, list(&s3)).await < ATTEMPTS, "the quota is used up");
    assert_eq!(requests(&http, identify(&sts)).await, ATTEMPTS, "another service");
    for _ in 0..FETCHES {
        requests(&http, assume(&sts)).await;
    }
    assert!(requests(&http, identify(&sts)).await < ATTEMPTS, "calls that are not signed use it up too");
    let (config, _session) = sdk_config(&base).await;
    assert_eq!(requests(&http, list(&aws_sdk_s3::Client::new(&config))).await, ATTEMPTS, "another session");
    assert_eq!(
        requests(&http, assume(&aws_sdk_sts::Client::new(&config))).await,
        ATTEMPTS,
        "another session"
    );
}

/// Time that passes only while the SDK sleeps, and how often it did.
#[derive(Debug, Clone)]
struct SleepTime(Arc<Mutex<(SystemTime, usize)>>);

impl TimeSource for SleepTime {
    fn now(&self) -> SystemTime {
        self.0.lock().unwrap().0
    }
}

impl AsyncSleep for SleepTime {
    fn sleep(&self, duration: Duration) -> Sleep {
        let mut time = self.0.lock().unwrap();
        *time = (time.0 + duration, time.1 + 1);
        Sleep::new(std::future::ready(()))
    }
}

/// With adaptive retries, throttled calls lower a rate, which delays also the first attempt of the next call.
#[tokio::test]
async fn rate_limit_of_sdk_config_is_its_sessions() {
    let http = HttpFixture::responding(400, refused("Throttling", ""));
    let time = SleepTime(Arc::new(Mutex::new((SystemClock.now(), 0))));
    let base = http.client_config().config().to_builder().retry_config(RetryConfig::adaptive());
    let base = base.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let base = AwsClientConfig::from(base.time_source(time.clone()).sleep_impl(time.clone()).build());
    let (config, _session) = sdk_config(&base).await;
    let client = aws_sdk_sts::Client::new(&config);
    for _ in 0..FETCHES {
        requests(&http, identify(&client)).await;
    }
    let (config, _session) = sdk_config(&base).await;
    let before = time.0.lock().unwrap().1;
    assert_eq!(requests(&http, identify(&aws_sdk_sts::Client::new(&config))).await, ATTEMPTS);
    assert_eq!(time.0.lock().unwrap().1 - before, ATTEMPTS - 1, "only retries are delayed");
}

/// What the SDK derives from credentials is still there beside the quota.
#[tokio::test]
async fn sdk_config_account_id_is_sent_with_user_agent() {
    let http = HttpFixture::responding(200, "<ListAllMyBucketsResult/>");
    let keys = Credentials::builder(KEY_ID.parse().unwrap(), SecretString::from("not-a-real-secret"));
    let keys = keys.account_id(Some("111111111111".parse().unwrap())).build().unwrap();
    let session = SessionContext::builder().region(region("us-east-1")).build();
    session.set_credentials(keys).unwrap();
    let config = session.sdk_config_from(http.client_config().config()).await.unwrap();
    aws_sdk_s3::Client::new(&config).list_buckets().send().await.unwrap();
    let agent = http.requests()[0].headers["x-amz-user-agent"].clone();
    let metrics = agent.split(' ').find_map(|part| part.strip_prefix("m/")).unwrap().to_owned();
    assert!(metrics.split(',').any(|metric| metric == "T"), "resolved account id: {agent}");
}
