//! Canaries at TRACE: the logs of the providers and of the SDK contain no secret, although each secret was used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use valetkey_backends::{
    AssumeRoleProvider, AwsClientConfig, EnvProvider, FederationTokenProvider, MemoryProvider,
    ScopedProvider, SdkConfigExt, SdkProvider, SecretsManagerProvider, SecretsManagerResolver,
    SessionTokenProvider, WebIdentityProvider,
};
use valetkey_core::testing::Canary;
use valetkey_core::{
    AccessKeyId, CredentialProvider, CredentialResolver, Credentials, Error, Expiry, SecretString,
    SessionContext, SessionPolicy,
};

use crate::http_fixture::{HttpFixture, ROLE_SESSION, assume_role_response, issued_response, refused};
use crate::loopback_fixture::LoopbackFixture;
use crate::scoped::SCOPED_SESSION;
use crate::{capture_logs, memory_source, region};

/// Returns the log at TRACE level during `work`.
async fn capture_logs_during(work: impl Future<Output = ()>) -> String {
    let (logs, guard) = capture_logs();
    tracing::trace!("the subscriber listens");
    work.await;
    drop(guard);
    let text = logs.text();
    assert!(text.contains("the subscriber listens"), "nothing was captured");
    assert!(text.contains("transmitting request"), "the SDK was not listened to");
    text
}

fn canary_credentials(canary: &Canary) -> Credentials {
    canary.credentials(Expiry::Never).unwrap()
}

fn assert_no_secret(canaries: &[&Canary], place: &str, output: &str) {
    for canary in canaries {
        let found = canary.found_in(output);
        let secret: Vec<_> = found.iter().filter(|mark| **mark != "access_key_id").collect();
        assert!(secret.is_empty(), "{place} shows {secret:?}");
    }
}

fn role_provider(base: &AwsClientConfig, source: Arc<dyn CredentialProvider>) -> AssumeRoleProvider {
    let arn = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    AssumeRoleProvider::builder(arn, source).external_id("ext").client_config(base).build().unwrap()
}

#[tokio::test]
async fn assume_role_log_has_no_secret() {
    let (source, issued) = (Canary::new(), Canary::new());
    let keys = canary_credentials(&issued);
    let body = assume_role_response(
        keys.access_key_id().as_str(),
        keys.expose_secret_access_key(),
        keys.expose_session_token().unwrap(),
    );
    assert_eq!(issued.found_in(&body).len(), 3, "the marks are on the wire");
    let http = LoopbackFixture::responding(200, body).await;
    let provider = role_provider(&http.client_config(), memory_source(canary_credentials(&source)));
    let text = capture_logs_during(async {
        let credentials = provider.provide().await.unwrap();
        assert_eq!(credentials.expose_secret_access_key(), issued.expose_secret());
        assert_no_secret(&[&source, &issued], "the credentials", &format!("{credentials:?} {provider:?}"));
    })
    .await;
    assert!(
        source.found_in(&http.requests_text()).contains(&"token"),
        "the source's token went out with the request"
    );
    assert_no_secret(&[&source, &issued], "the log", &text);
}

/// What STS issues, made of the canary's marks.
fn issued_canary(operation: &str, issued: &Canary) -> String {
    let keys = canary_credentials(issued);
    let token = keys.expose_session_token().unwrap();
    let marks = [keys.access_key_id().as_str(), keys.expose_secret_access_key(), token];
    let body = issued_response(operation, ROLE_SESSION, marks);
    assert_eq!(issued.found_in(&body).len(), 3, "the marks are on the wire");
    body
}

fn web_identity_provider(base: &AwsClientConfig, token: &Canary) -> WebIdentityProvider {
    let (role, mark) =
        ("arn:aws:iam::222222222222:role/agent".parse().unwrap(), token.expose_secret().to_owned());
    let source = move || {
        let token = SecretString::from(mark.as_str());
        async move { Ok(token) }
    };
    WebIdentityProvider::builder(role, source).client_config(base).build().unwrap()
}

/// Returns long-lived credentials with the secret of the canary.
fn long_lived_canary(canary: &Canary) -> Credentials {
    let id: AccessKeyId = crate::KEY_ID.parse().unwrap();
    Credentials::builder(id, SecretString::from(canary.expose_secret())).build().unwrap()
}

#[tokio::test]
async fn web_identity_log_has_no_secret() {
    let (token, issued) = (Canary::new(), Canary::new());
    let http = LoopbackFixture::responding(200, issued_canary("AssumeRoleWithWebIdentity", &issued)).await;
    let provider = web_identity_provider(&http.client_config(), &token);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, token.expose_secret()).unwrap();
    let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let read =
        WebIdentityProvider::from_file(role, path).client_config(&http.client_config()).build().unwrap();
    let text = capture_logs_during(async {
        for provider in [&provider, &read] {
            let credentials = provider.provide().await.unwrap();
            assert_eq!(credentials.expose_secret_access_key(), issued.expose_secret());
            assert_no_secret(&[&token, &issued], "the credentials", &format!("{credentials:?} {provider:?}"));
        }
    })
    .await;
    assert!(token.found_in(&http.requests_text()).contains(&"secret"), "the identity token went out");
    assert_no_secret(&[&token, &issued], "the log", &text);
}

#[tokio::test]
async fn federation_log_has_no_secret() {
    let (source, issued) = (Canary::new(), Canary::new());
    for operation in ["GetSessionToken", "GetFederationToken"] {
        let http = LoopbackFixture::responding(200, issued_canary(operation, &issued)).await;
        let provider: Arc<dyn CredentialProvider> = match operation {
            "GetSessionToken" => {
                let code = || async { Ok(SecretString::from("739184")) };
                let exchange = SessionTokenProvider::builder(memory_source(long_lived_canary(&source)))
                    .client_config(&http.client_config())
                    .mfa("GAHT12345678", code);
                Arc::new(exchange.build().unwrap())
            }
            _ => {
                let keys = memory_source(long_lived_canary(&source));
                let exchange = FederationTokenProvider::builder("alice", keys);
                Arc::new(exchange.client_config(&http.client_config()).build().unwrap())
            }
        };
        let text = capture_logs_during(async {
            let credentials = provider.provide().await.unwrap();
            assert_eq!(credentials.expose_secret_access_key(), issued.expose_secret());
            assert_no_secret(
                &[&source, &issued],
                "the credentials",
                &format!("{credentials:?} {provider:?}"),
            );
        })
        .await;
        assert_eq!(
            http.requests_text().contains("739184"),
            operation == "GetSessionToken",
            "the code went out"
        );
        assert!(!text.contains("739184"), "the log shows the code");
        assert_no_secret(&[&source, &issued], "the log", &text);
    }
}

fn scoped_provider(base: &AwsClientConfig, source: &Canary) -> ScopedProvider {
    let policy = SessionPolicy::read_only(["s3"]).unwrap();
    ScopedProvider::builder(memory_source(canary_credentials(source)))
        .policy(policy)
        .client_config(base)
        .build()
        .unwrap()
}

#[tokio::test]
async fn scoped_log_has_no_secret() {
    let (source, issued) = (Canary::new(), Canary::new());
    let body = issued_canary("GetScopedCredentials", &issued);
    for (body, is_scoped) in
        [(body.replace(ROLE_SESSION, SCOPED_SESSION), true), (body.replace("Scoped", "Other"), false)]
    {
        let http = LoopbackFixture::responding(200, body).await;
        let provider = scoped_provider(&http.client_config(), &source);
        let text = capture_logs_during(async {
            let result = provider.provide().await;
            assert_eq!(result.is_ok(), is_scoped);
            assert_no_secret(&[&source, &issued], "the answer", &format!("{result:?} {provider:?}"));
        })
        .await;
        assert!(source.found_in(&http.requests_text()).contains(&"token"), "the source's token went out");
        assert_no_secret(&[&source, &issued], "the log", &text);
    }
}

fn error_output(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!("{cause} {cause:?}"));
    format!("{error} {error:?} {cause:?}")
}

#[tokio::test]
async fn sts_error_echoing_token_or_key_has_no_secret() {
    let (held_secret, echoed) = (Canary::new(), Canary::new());
    for (status, body) in [
        (400, refused("InvalidIdentityToken", echoed.expose_secret())),
        (400, refused("PackedPolicyTooLarge", &format!("107% {}", echoed.expose_secret()))),
        (403, refused(echoed.expose_secret(), echoed.expose_secret())),
        (500, echoed.expose_secret().to_owned()),
        (200, echoed.expose_secret().to_owned()),
    ] {
        let http = LoopbackFixture::responding(status, body).await;
        let base = http.client_config();
        let source = || memory_source(long_lived_canary(&held_secret));
        let code = || async { Ok(SecretString::from("739184")) };
        let providers: [Box<dyn CredentialProvider>; 5] = [
            Box::new(scoped_provider(&base, &held_secret)),
            Box::new(web_identity_provider(&base, &held_secret)),
            Box::new(SessionTokenProvider::builder(source()).client_config(&base).build().unwrap()),
            Box::new(
                SessionTokenProvider::builder(source())
                    .client_config(&base)
                    .mfa("GAHT12345678", code)
                    .build()
                    .unwrap(),
            ),
            Box::new(
                FederationTokenProvider::builder("alice", source()).client_config(&base).build().unwrap(),
            ),
        ];
        for provider in providers {
            let error = provider.provide().await.unwrap_err();
            assert_no_secret(&[&held_secret, &echoed], "the error", &error_output(&error));
            assert!(!error_output(&error).contains("739184"), "the error shows the code");
        }
    }
}

#[tokio::test]
async fn assume_role_error_echoing_secret_has_no_secret() {
    let (source, echoed) = (Canary::new(), Canary::new());
    for (status, body) in [
        (403, refused("AccessDenied", echoed.expose_secret())),
        (403, refused(echoed.expose_secret(), "")),
        (500, echoed.expose_secret().to_owned()),
        (200, echoed.expose_secret().to_owned()),
    ] {
        assert!(echoed.found_in(&body).contains(&"secret"), "the mark is on the wire");
        let http = LoopbackFixture::responding(status, body).await;
        let error = role_provider(&http.client_config(), memory_source(canary_credentials(&source)))
            .provide()
            .await
            .unwrap_err();
        assert_no_secret(&[&source, &echoed], "the error", &error_output(&error));
    }
}

#[tokio::test]
async fn secrets_manager_log_has_no_secret() {
    let (source, stored) = (Canary::new(), Canary::new());
    let body = serde_json::json!({ "SecretString": stored.to_json().to_string() }).to_string();
    assert!(stored.found_in(&body).contains(&"secret"), "the marks are on the wire");
    let http = LoopbackFixture::responding(200, body).await;
    let base = http.client_config();
    let provider = SecretsManagerProvider::builder("agent", memory_source(canary_credentials(&source)))
        .client_config(&base)
        .build()
        .unwrap();
    let resolver = SecretsManagerResolver::builder("agents/", memory_source(canary_credentials(&source)))
        .client_config(&base)
        .build()
        .unwrap();
    let text = capture_logs_during(async {
        let read = provider.provide().await.unwrap();
        let resolved = resolver.resolve(&"one".parse().unwrap()).await.unwrap();
        assert_eq!(read.expose_secret_access_key(), stored.expose_secret());
        assert_eq!(resolved.expose_secret_access_key(), stored.expose_secret());
    })
    .await;
    assert_no_secret(&[&source, &stored], "the log", &text);
    assert_no_secret(&[&source, &stored], "Debug", &format!("{provider:?} {resolver:?}"));
}

#[tokio::test]
async fn secrets_manager_cached_and_prefetched_log_has_no_secret() {
    let (source, stored) = (Canary::new(), Canary::new());
    let value = serde_json::json!({
        "ARN": "arn:aws:secretsmanager:us-east-1:111111111111:secret:agents/one-AbCdEf", "Name": "agents/one",
        "VersionId": "v".repeat(32), "VersionStages": ["AWSCURRENT"], "SecretString": stored.to_json().to_string(),
    });
    let mut description = value.clone();
    description.as_object_mut().unwrap().remove("SecretString");
    description["VersionIdsToStages"] = serde_json::json!({ "v".repeat(32): ["AWSCURRENT"] });
    let values = serde_json::json!({ "SecretValues": [value] });
    assert!(stored.found_in(&values.to_string()).contains(&"secret"), "the marks are on the wire");
    let http =
        LoopbackFixture::with_response(200, move |request| match request.contains("BatchGetSecretValue") {
            true => values.to_string(),
            false => description.to_string(),
        });
    let http = http.await;
    let resolver = SecretsManagerResolver::builder("agents/", memory_source(canary_credentials(&source)));
    let resolver = resolver.client_config(&http.client_config()).build().unwrap();
    let id = "one".parse().unwrap();
    let text = capture_logs_during(async {
        assert!(resolver.prefetch(std::slice::from_ref(&id)).await.is_empty());
        for _ in 0..2 {
            let resolved = resolver.resolve(&id).await.unwrap();
            assert_eq!(resolved.expose_secret_access_key(), stored.expose_secret());
        }
    })
    .await;
    let sent = http.requests_text();
    assert!(sent.contains("BatchGetSecretValue") && sent.contains("DescribeSecret"), "{sent}");
    assert!(!sent.contains(".GetSecretValue"), "nothing was read singly");
    assert_no_secret(&[&source, &stored], "the log", &text);
    assert_no_secret(&[&source, &stored], "Debug", &format!("{resolver:?}"));
}

#[tokio::test]
async fn secrets_manager_error_echoing_secret_has_no_secret() {
    let (source, stored, echoed) = (Canary::new(), Canary::new(), Canary::new());
    let id = "one".parse().unwrap();
    for code in
        ["AccessDeniedException", "InternalServiceError", "ResourceNotFoundException", echoed.expose_secret()]
    {
        let text = stored.to_json().to_string();
        let value = serde_json::json!({
            "ARN": "arn", "VersionId": "v".repeat(32), "VersionStages": ["AWSCURRENT"], "SecretString": text,
        });
        let refusal = serde_json::json!({ "__type": code, "message": echoed.expose_secret() });
        let reads = AtomicUsize::new(0);
        let http = HttpFixture::with_reply(move |sent| {
            let is_read = sent.headers["x-amz-target"].ends_with(".GetSecretValue");
            let first = is_read && reads.fetch_add(1, Ordering::SeqCst) == 0;
            Some(if first { (200, value.to_string()) } else { (400, refusal.to_string()) })
        });
        let resolver = SecretsManagerResolver::builder("agents/", memory_source(canary_credentials(&source)));
        let resolver = resolver.client_config(&http.client_config()).build().unwrap();
        resolver.resolve(&id).await.unwrap();
        let mut errors = vec![resolver.resolve(&id).await.unwrap_err()];
        errors.extend(resolver.prefetch(std::slice::from_ref(&id)).await.into_iter().map(|(_, error)| error));
        assert_eq!(errors.len(), 2, "{code}");
        for error in errors {
            let cause = std::error::Error::source(&error).map(|cause| format!("{cause} {cause:?}"));
            assert_no_secret(
                &[&source, &stored, &echoed],
                "the error",
                &format!("{error} {error:?} {cause:?}"),
            );
        }
    }
}

#[tokio::test]
async fn sdk_client_log_has_no_secret() {
    let (canary, http) = (Canary::new(), LoopbackFixture::responding(200, "<ListAllMyBucketsResult/>").await);
    let session = SessionContext::builder().region(region("us-east-1")).build();
    session.set_credentials(canary_credentials(&canary)).unwrap();
    let text = capture_logs_during(async {
        let config = session.sdk_config_from(http.client_config().config()).await.unwrap();
        assert_no_secret(&[&canary], "the configuration", &format!("{config:?}"));
        aws_sdk_s3::Client::new(&config).list_buckets().send().await.unwrap();
    })
    .await;
    assert!(canary.found_in(&http.requests_text()).contains(&"token"), "the token went out");
    assert_no_secret(&[&canary], "the log", &text);
}

#[tokio::test]
async fn debug_of_providers_and_builders_has_no_secret() {
    let (canary, base) = (Canary::new(), AwsClientConfig::new().region(&region("us-east-1")));
    let keys = canary_credentials(&canary);
    let text = keys.expose_secret_access_key().to_owned();
    let arn = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let builder = AssumeRoleProvider::builder(arn, memory_source(keys.clone()))
        .external_id(canary.expose_secret())
        .policy(format!("{{\"Sid\":\"{}\"}}", canary.expose_secret()))
        .tag("note", canary.expose_secret())
        .client_config(&base);
    let secrets = SecretsManagerProvider::builder("agent", memory_source(keys.clone())).client_config(&base);
    let policy = format!("{{\"Sid\":\"{}\"}}", canary.expose_secret());
    let federated = FederationTokenProvider::builder("alice", memory_source(keys.clone()))
        .policy(policy.as_str())
        .tag("note", canary.expose_secret());
    let arn = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
    let identity = WebIdentityProvider::from_file(arn, "/a/path").policy(policy);
    let text = format!(
        "{:?} {:?} {builder:?} {secrets:?} {federated:?} {identity:?} {base:?} {:?}",
        MemoryProvider::from(keys.clone()),
        EnvProvider::new(move |_| Some(text.clone().into())),
        SdkProvider::new("ambient", keys.expose_to_sdk()),
    );
    assert!(text.contains("MemoryProvider") && text.contains("AssumeRoleBuilder"), "{text}");
    assert_no_secret(&[&canary], "Debug", &text);
    assert!(canary.found_in(&text).is_empty(), "{text}");
}
