//! An endpoint without a server: a loopback port that was just closed.

use std::net::{Ipv4Addr, TcpListener};

use valetkey_backends::{
    AssumeRoleProvider, AwsClientConfig, SecretsManagerProvider, SessionTokenProvider, WebIdentityProvider,
};
use valetkey_core::{CredentialProvider, ErrorKind, RoleArn, SecretString};

use crate::{region, static_source, with_fast_retries};

/// A client configuration for a port without a server.
fn unreachable_client_config() -> AwsClientConfig {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    with_fast_retries(&AwsClientConfig::new().region(&region("us-east-1")).endpoint_url(url))
}

#[tokio::test]
async fn unreachable_endpoint_is_unavailable() {
    let base = unreachable_client_config();
    let arn: RoleArn = "arn:aws:iam::111111111111:role/agent".parse().unwrap();
    let role =
        AssumeRoleProvider::builder(arn.clone(), static_source()).client_config(&base).build().unwrap();
    let token = || async { Ok(SecretString::from("token")) };
    let identity = WebIdentityProvider::builder(arn, token).client_config(&base).build().unwrap();
    let exchange = SessionTokenProvider::builder(static_source()).client_config(&base).build().unwrap();
    let secret =
        SecretsManagerProvider::builder("agent", static_source()).client_config(&base).build().unwrap();
    for provider in [&role as &dyn CredentialProvider, &identity, &exchange, &secret] {
        let error = provider.provide().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{error}");
        assert!(error.next_step().unwrap().contains("endpoint URL"), "{error}");
    }
}
