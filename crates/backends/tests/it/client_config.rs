//! `AwsClientConfig`: the parts that it takes from a configuration and from the process.

use aws_config::SdkConfig;
use aws_credential_types::Token;
use aws_credential_types::provider::token::{ProvideToken, SharedTokenProvider};
use aws_credential_types::provider::{SharedCredentialsProvider, future};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use valetkey_backends::AwsClientConfig;

use crate::region;

#[derive(Debug)]
struct HostSettings;

impl LoadServiceConfig for HostSettings {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        Some(format!("the host's {}", key.env()))
    }
}

impl ProvideToken for HostSettings {
    fn provide_token<'a>(&'a self) -> future::ProvideToken<'a>
    where
        Self: 'a,
    {
        future::ProvideToken::ready(Ok(Token::new("hosts-token", None)))
    }
}

fn setting(config: &SdkConfig, env: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("Bedrock").profile("key").env(env).build().unwrap();
    config.service_config().unwrap().load_config(key)
}

#[test]
fn client_config_from_sdk_config_drops_identities() {
    let keys = crate::sdk_credentials(crate::KEY_ID);
    let host = SdkConfig::builder()
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .token_provider(SharedTokenProvider::new(HostSettings))
        .service_config(HostSettings)
        .region(aws_config::Region::new("eu-west-1"))
        .endpoint_url("http://vpc.example")
        .build();
    let base = AwsClientConfig::from(host.clone());
    let config = base.config();
    assert!(host.credentials_provider().is_some() && config.credentials_provider().is_none());
    assert!(host.token_provider().is_some() && config.token_provider().is_none());
    assert_eq!(setting(&host, "AWS_BEARER_TOKEN").as_deref(), Some("the host's AWS_BEARER_TOKEN"));
    assert_eq!(setting(config, "AWS_BEARER_TOKEN"), None);
    assert_eq!(setting(config, "AWS_ENDPOINT_URL").as_deref(), Some("the host's AWS_ENDPOINT_URL"));
    assert_eq!(config.region().unwrap().as_ref(), "eu-west-1");
    assert_eq!(config.endpoint_url(), Some("http://vpc.example"));
    assert!(config.http_client().is_some() && config.behavior_version().is_some());
}

#[test]
fn client_config_new_ignores_process_environment() {
    let base = AwsClientConfig::new();
    assert!(base.config().region().is_none() && base.config().endpoint_url().is_none());
    let placed = base.region(&region("us-west-2")).endpoint_url("http://vpc.example");
    assert_eq!(placed.config().region().unwrap().as_ref(), "us-west-2");
    assert!(placed.config().get_origin("endpoint_url").is_client_config());
}

#[tokio::test]
#[ignore = "the other half of the next test, which sets its environment"]
async fn child_process_with_endpoint_variables() {
    let base = AwsClientConfig::from_process().await;
    assert_eq!(base.config().region().unwrap().as_ref(), "ap-south-1");
    assert_eq!(base.config().endpoint_url(), Some("http://all.example"));
    let sts = aws_sdk_sts::config::Builder::from(base.config());
    assert!(format!("{sts:?}").contains("http://sts.example"), "a service's own endpoint wins");
    let named = base.endpoint_url("http://named.example");
    let sts = aws_sdk_sts::config::Builder::from(named.config());
    assert!(!format!("{sts:?}").contains("http://sts.example"), "one named in code wins over both");
}

#[test]
fn client_config_from_process_reads_region_and_endpoints() {
    crate::run_in_child_process(
        "client_config::child_process_with_endpoint_variables",
        &[
            ("AWS_REGION", "ap-south-1"),
            ("AWS_ENDPOINT_URL", "http://all.example"),
            ("AWS_ENDPOINT_URL_STS", "http://sts.example"),
            ("AWS_ACCESS_KEY_ID", crate::KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", "the-hosts-own"),
        ],
    );
}
