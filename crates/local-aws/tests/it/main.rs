//! Calls a local AWS with the AWS SDK.

#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::error::ProvideErrorMetadata;
use valetkey_local_aws::{LocalAws, RequestOutcome, RoleSpec, SecretSpec, UserSpec};

const ROLE: &str = "arn:aws:iam::111111111111:role/agent";

async fn start_aws() -> LocalAws {
    LocalAws::builder()
        .user(UserSpec::new("999999999999", "platform", "AKIAPLATFORM", "platform-secret"))
        .role(RoleSpec::new(ROLE).trusts("999999999999").external_id("e-1"))
        .secret(SecretSpec::new("111111111111", "app/db", "first"))
        .secret(SecretSpec::new("222222222222", "app/other", "foreign"))
        .start()
        .await
        .unwrap()
}

fn sdk_config(aws: &LocalAws, credentials: Credentials) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(aws.endpoint_url())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

fn platform_credentials() -> Credentials {
    Credentials::new("AKIAPLATFORM", "platform-secret", None, None, "test")
}

async fn assume_role(aws: &LocalAws) -> Credentials {
    let sts = aws_sdk_sts::Client::new(&sdk_config(aws, platform_credentials()));
    let assumed = sts.assume_role().role_arn(ROLE).role_session_name("s-1").external_id("e-1");
    let issued = assumed.send().await.unwrap().credentials.unwrap();
    let token = Some(issued.session_token);
    Credentials::new(issued.access_key_id, issued.secret_access_key, token, None, "test")
}

#[tokio::test]
async fn sdk_assume_role_reads_secret() {
    let aws = start_aws().await;
    let config = sdk_config(&aws, assume_role(&aws).await);
    let caller = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap();
    assert_eq!(caller.arn(), Some("arn:aws:sts::111111111111:assumed-role/agent/s-1"));

    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    let read = async || secrets.get_secret_value().secret_id("app/db").send().await.unwrap();
    assert_eq!(read().await.secret_string(), Some("first"));
    let version = aws.rotate_secret("app/db", "second").unwrap();
    let current = read().await;
    assert_eq!((current.secret_string(), current.version_id()), (Some("second"), Some(version.as_str())));
    aws.stop().await.unwrap();
}

#[tokio::test]
async fn sdk_denied_or_expired_returns_error_code() {
    let aws = start_aws().await;
    let role = assume_role(&aws).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&sdk_config(&aws, role.clone()));
    let denied = secrets.get_secret_value().secret_id("app/other").send().await.unwrap_err();
    assert_eq!(denied.code(), Some("AccessDeniedException"));

    let sts = aws_sdk_sts::Client::new(&sdk_config(&aws, platform_credentials()));
    let denied = sts.assume_role().role_arn(ROLE).role_session_name("s-1").external_id("wrong").send().await;
    assert_eq!(denied.unwrap_err().code(), Some("AccessDenied"));

    aws.advance_expiry(Duration::from_secs(3600));
    let expired = aws_sdk_sts::Client::new(&sdk_config(&aws, role)).get_caller_identity().send().await;
    assert_eq!(expired.unwrap_err().code(), Some("ExpiredToken"));
    aws.stop().await.unwrap();
}

#[tokio::test]
async fn requests_record_caller_and_outcome() {
    let aws = start_aws().await;
    let role = assume_role(&aws).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&sdk_config(&aws, role));
    let _denied = secrets.get_secret_value().secret_id("app/other").send().await.unwrap_err();
    let records = aws.requests();
    let outcomes: Vec<_> = records.iter().map(|it| (it.action.as_str(), it.outcome)).collect();
    let refused = RequestOutcome::Refused("AccessDeniedException");
    assert_eq!(outcomes, [("AssumeRole", RequestOutcome::Served), ("GetSecretValue", refused)]);
    assert_eq!(records[0].caller.as_deref(), Some("arn:aws:iam::999999999999:user/platform"));
    aws.stop().await.unwrap();
}
