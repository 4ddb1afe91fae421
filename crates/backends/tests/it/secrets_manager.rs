//! Secrets Manager: its requests, how responses are parsed, and the ids that a resolver accepts.

mod cache;
mod error_codes;
mod fixture;
mod outages;
mod resolver;
mod session;

use std::sync::Arc;

use valetkey_backends::{MemoryProvider, SecretsManagerProvider, SecretsManagerResolver};
use valetkey_core::{CredentialProvider, CredentialResolver, Error, ErrorKind};

use crate::http_fixture::HttpFixture;
use crate::{region, static_source};

const ARN: &str = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:agent-AbCdEf";
const SECRET_JSON: &str =
    r#"{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"hunter2","region":"us-west-2"}"#;

fn http_with_secret(text: &str) -> HttpFixture {
    HttpFixture::responding(200, serde_json::json!({ "Name": "agent", "SecretString": text }).to_string())
}

async fn invalid_secret_error(http: &HttpFixture) -> Error {
    let provider = SecretsManagerProvider::builder("agent", static_source())
        .client_config(&http.client_config())
        .build()
        .unwrap();
    let error = provider.provide().await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Invalid, Some("secrets-manager")), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    error
}

#[tokio::test]
async fn secret_version_stage_is_sent_explicitly() {
    let http = http_with_secret(SECRET_JSON);
    let builder =
        || SecretsManagerProvider::builder("agent", static_source()).client_config(&http.client_config());
    let version = "11111111-0000-0000-0000-000000000000";
    for provider in [builder(), builder().version_stage("AWSPENDING"), builder().version_id(version)] {
        provider.build().unwrap().provide().await.unwrap();
    }
    let sent: Vec<_> = http.requests().iter().map(crate::http_fixture::SentRequest::json).collect();
    assert_eq!(
        sent,
        [
            serde_json::json!({ "SecretId": "agent", "VersionStage": "AWSCURRENT" }),
            serde_json::json!({ "SecretId": "agent", "VersionStage": "AWSPENDING" }),
            serde_json::json!({ "SecretId": "agent", "VersionId": version }),
        ]
    );
}

#[tokio::test]
async fn secret_string_and_binary_parse_equally() {
    let bytes = HttpFixture::responding(
        200,
        r#"{"SecretBinary":"eyJhd3NfYWNjZXNzX2tleV9pZCI6IkFLSUFJT1NGT0ROTjdFWEFNUExFIiwiYXdzX3NlY3JldF9hY2Nlc3Nfa2V5IjoiaHVudGVyMiIsInJlZ2lvbiI6InVzLXdlc3QtMiJ9"}"#,
    );
    for http in [http_with_secret(SECRET_JSON), bytes] {
        let provider = SecretsManagerProvider::builder("agent", static_source())
            .client_config(&http.client_config())
            .build()
            .unwrap();
        let credentials = provider.provide().await.unwrap();
        assert_eq!(credentials.access_key_id().as_str(), crate::KEY_ID);
        assert_eq!(credentials.expose_secret_access_key(), "hunter2");
        assert_eq!(credentials.region().unwrap().as_str(), "us-west-2");
        assert_eq!(credentials.provider(), "secrets-manager");
    }
}

#[tokio::test]
async fn secret_malformed_reports_field_or_position() {
    assert_eq!(
        invalid_secret_error(&http_with_secret(r#"{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE"}"#)).await.field(),
        Some("secret_access_key")
    );
    assert_eq!(
        invalid_secret_error(&http_with_secret(r#"{"secret_access_key":"hunter2"}"#)).await.field(),
        Some("access_key_id")
    );
    assert!(
        invalid_secret_error(&http_with_secret("{\"secret_access_key\":\"hunter2"))
            .await
            .message()
            .contains("line 1 column")
    );
    assert!(invalid_secret_error(&http_with_secret("[\"hunter2\"]")).await.message().contains("JSON object"));
    assert!(
        invalid_secret_error(&HttpFixture::responding(200, r#"{"Name":"agent"}"#))
            .await
            .message()
            .contains("neither text nor bytes")
    );
    assert!(
        invalid_secret_error(&HttpFixture::responding(200, r#"{"SecretBinary":"aHVudGVyMv8="}"#))
            .await
            .message()
            .contains("UTF-8")
    );
}

#[tokio::test]
async fn secret_with_past_expiry_is_expired() {
    let http = http_with_secret(
        &SECRET_JSON.replace("us-west-2\"", "us-west-2\",\"expires_at\":\"2001-01-01T00:00:00Z\""),
    );
    let provider = SecretsManagerProvider::builder("agent", static_source())
        .client_config(&http.client_config())
        .build()
        .unwrap();
    assert_eq!(provider.provide().await.unwrap_err().kind(), ErrorKind::Expired);
}

#[tokio::test]
async fn secrets_manager_empty_source_is_invalid() {
    let http = http_with_secret(SECRET_JSON);
    let source = Arc::new(MemoryProvider::new());
    let provider = SecretsManagerProvider::builder("agent", source)
        .client_config(&http.client_config())
        .build()
        .unwrap();
    let error = provider.provide().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("source")));
    assert!(http.requests().is_empty());
}

#[tokio::test]
async fn secrets_manager_region_named_then_arn_then_config() {
    let http = http_with_secret(SECRET_JSON);
    let builder =
        |id: &str| SecretsManagerProvider::builder(id, static_source()).client_config(&http.client_config());
    for provider in [builder("agent"), builder(ARN), builder(ARN).region(region("us-west-1"))] {
        provider.build().unwrap().provide().await.unwrap();
    }
    let hosts: Vec<_> = http.requests().into_iter().map(|sent| sent.uri).collect();
    let expected = ["us-east-1", "eu-central-1", "us-west-1"];
    assert_eq!(hosts, expected.map(|region| format!("https://secretsmanager.{region}.amazonaws.com/")));
}

#[test]
fn secrets_manager_setting_over_limit_fails_build() {
    let provider =
        |id: &str| SecretsManagerProvider::builder(id, static_source()).region(region("us-east-1"));
    let id = |length: usize| "v".repeat(length);
    for good in [
        provider("a"),
        provider(&id(2_048)),
        provider("a").version_id(id(32)),
        provider("a").version_id(id(64)),
        provider("a").version_stage(id(256)),
    ] {
        assert!(good.build().is_ok());
    }
    for (bad, field) in [
        (provider(""), "secret_id"),
        (provider("a b"), "secret_id"),
        (provider(&id(2_049)), "secret_id"),
        (provider("a").version_id(id(31)), "version_id"),
        (provider("a").version_id(id(65)), "version_id"),
        (provider("a").version_stage(""), "version_stage"),
        (provider("a").version_stage(id(257)), "version_stage"),
        (provider("a").version_stage("AWSCURRENT").version_id(id(32)), "version_id"),
        (SecretsManagerProvider::builder("a", static_source()), "region"),
    ] {
        let error = bad.build().unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)), "{error}");
    }
    let error =
        SecretsManagerResolver::builder("", static_source()).region(region("us-east-1")).build().unwrap_err();
    assert_eq!(error.field(), Some("prefix"));
}

#[test]
fn secret_arn_with_ecs_suffix_is_invalid() {
    for suffix in [":SecretString:AWSCURRENT", ":key::", "::AWSPREVIOUS:", ":"] {
        let id = format!("{ARN}{suffix}");
        let error = SecretsManagerProvider::builder(id, static_source()).build().unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("secret_id")), "{error}");
        assert!(error.next_step().unwrap().contains("`version_stage`"), "{error}");
    }
}

#[tokio::test]
async fn secret_in_aws_tool_formats_is_parsed() {
    for text in [
        r#"{"AWS_ACCESS_KEY_ID":"AKIAIOSFODNN7EXAMPLE","AWS_SECRET_ACCESS_KEY":"s"}"#,
        r#"{"AccessKey":{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"s","Status":"Active"}}"#,
        r#"{"Credentials":{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"s","SessionToken":"t"}}"#,
    ] {
        let http = http_with_secret(text);
        let provider = SecretsManagerProvider::builder("agent", static_source())
            .client_config(&http.client_config())
            .build()
            .unwrap();
        assert_eq!(provider.provide().await.unwrap().access_key_id().as_str(), crate::KEY_ID, "{text}");
    }
}

#[tokio::test]
async fn resolver_reads_secret_under_prefix() {
    let http = http_with_secret(SECRET_JSON);
    let resolver = SecretsManagerResolver::builder("tenant-a/", static_source())
        .client_config(&http.client_config())
        .build()
        .unwrap();
    let credentials = resolver.resolve(&"aws-cred-1".parse().unwrap()).await.unwrap();
    assert_eq!(credentials.access_key_id().as_str(), crate::KEY_ID);
    let expected = serde_json::json!({ "SecretId": "tenant-a/aws-cred-1", "VersionStage": "AWSCURRENT" });
    assert_eq!(http.requests()[0].json(), expected);
}

#[tokio::test]
async fn resolver_arn_or_unknown_id_is_invalid() {
    let body = serde_json::json!({ "__type": "ResourceNotFoundException", "message": "no" }).to_string();
    let http = HttpFixture::responding(400, body);
    let resolver = SecretsManagerResolver::builder("tenant-a/", static_source())
        .client_config(&http.client_config())
        .build()
        .unwrap();
    let error = resolver.resolve(&ARN.parse().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("provider_credential_id")));
    assert!(http.requests().is_empty());
    let broken = http_with_secret("{");
    let over = SecretsManagerResolver::builder("tenant-a/", static_source())
        .client_config(&broken.client_config())
        .build()
        .unwrap();
    assert_eq!(
        over.resolve(&"one".parse().unwrap()).await.unwrap_err().field(),
        None,
        "the id is not at fault"
    );
    let error = resolver.resolve(&"unknown".parse().unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("provider_credential_id")));
}
