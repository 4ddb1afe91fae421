//! The provider contract, for each provider, when it succeeds and when it fails.

use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use valetkey_backends::{
    AssumeRoleProvider, DefaultChainProvider, EnvProvider, FederationTokenProvider, MemoryProvider,
    ProcessProvider, ProfileProvider, ScopedProvider, SdkProvider, SecretsManagerProvider,
    SessionTokenProvider, WebIdentityProvider,
};
use valetkey_core::testing::{Canary, contract};
use valetkey_core::{CredentialProvider, Expiry, ProviderChain, SecretString, SessionPolicy};

use crate::http_fixture::{
    HttpFixture, PeerBehavior, ROLE_SESSION, assume_role_response, issued_response, refused,
};
use crate::scoped::SCOPED_SESSION;
use crate::{memory_source, static_source};

/// A canary, and the texts of it that must show nowhere.
struct CanaryFixture {
    canary: Canary,
    secrets: Vec<String>,
}

impl CanaryFixture {
    fn new() -> Self {
        let canary = Canary::new();
        let credentials = canary.credentials(Expiry::Never).unwrap();
        let secrets = vec![
            credentials.expose_secret_access_key().to_owned(),
            credentials.expose_session_token().unwrap().to_owned(),
            credentials.access_key_id().as_str().to_owned(),
        ];
        Self { canary, secrets }
    }

    fn source(&self) -> Arc<dyn CredentialProvider> {
        memory_source(self.canary.credentials(Expiry::Never).unwrap())
    }

    async fn assert_contract(&self, provider: impl CredentialProvider) {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        let faults = contract::faults(&provider, &secrets).await;
        assert!(faults.is_empty(), "{provider:?}: {faults:#?}");
    }
}

#[tokio::test]
async fn memory_provider_keeps_contract() {
    let fixture = CanaryFixture::new();
    fixture.assert_contract(MemoryProvider::new()).await;
    fixture.assert_contract(MemoryProvider::from(fixture.canary.credentials(Expiry::Never).unwrap())).await;
}

#[tokio::test]
async fn env_provider_keeps_contract() {
    let fixture = CanaryFixture::new();
    fixture.assert_contract(EnvProvider::new(|_| None)).await;
    let [secret, token, id] = <[String; 3]>::try_from(fixture.secrets.clone()).unwrap();
    let half = secret.clone();
    fixture
        .assert_contract(EnvProvider::new(move |name| {
            (name == "AWS_SECRET_ACCESS_KEY").then(|| half.clone().into())
        }))
        .await;
    let whole = EnvProvider::new(move |name| match name {
        "AWS_ACCESS_KEY_ID" => Some(id.clone().into()),
        "AWS_SECRET_ACCESS_KEY" => Some(secret.clone().into()),
        "AWS_SESSION_TOKEN" => Some(token.clone().into()),
        _ => None,
    });
    assert!(whole.provide().await.is_ok());
    fixture.assert_contract(whole).await;
}

#[tokio::test]
async fn assume_role_provider_keeps_contract() {
    let fixture = CanaryFixture::new();
    let [secret, token, id] = <[String; 3]>::try_from(fixture.secrets.clone()).unwrap();
    let complete = HttpFixture::responding(200, assume_role_response(&id, &secret, &token));
    let denied = HttpFixture::responding(403, refused("AccessDenied", &secret));
    for http in
        [complete, denied, HttpFixture::responding(500, secret), HttpFixture::new(PeerBehavior::Disconnects)]
    {
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        let builder =
            AssumeRoleProvider::builder(role, fixture.source()).client_config(&http.client_config());
        fixture.assert_contract(builder.build().unwrap()).await;
    }
}

/// Returns the ways in which STS may respond to `operation`, with canaries wherever a response can contain them.
fn sts_responses(operation: &str, fixture: &CanaryFixture) -> [HttpFixture; 5] {
    let [secret, token, id] = <[String; 3]>::try_from(fixture.secrets.clone()).unwrap();
    [
        HttpFixture::responding(200, issued_response(operation, ROLE_SESSION, [&id, &secret, &token])),
        HttpFixture::responding(403, refused("AccessDenied", &secret)),
        HttpFixture::responding(400, refused("InvalidIdentityToken", &token)),
        HttpFixture::responding(500, secret),
        HttpFixture::new(PeerBehavior::Disconnects),
    ]
}

#[tokio::test]
async fn web_identity_provider_keeps_contract() {
    let fixture = CanaryFixture::new();
    let token = fixture.secrets[1].clone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, &token).unwrap();
    for http in sts_responses("AssumeRoleWithWebIdentity", &fixture) {
        let (role, given) = ("arn:aws:iam::222222222222:role/agent".parse().unwrap(), token.clone());
        let builder = WebIdentityProvider::builder(role, move || {
            let token = SecretString::from(given.as_str());
            async move { Ok(token) }
        });
        fixture.assert_contract(builder.client_config(&http.client_config()).build().unwrap()).await;
        for path in [&path, folder.path()] {
            let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
            let read = WebIdentityProvider::from_file(role, path)
                .client_config(&http.client_config())
                .build()
                .unwrap();
            fixture.assert_contract(read).await;
        }
    }
}

#[tokio::test]
async fn federation_provider_keeps_contract() {
    let fixture = CanaryFixture::new();
    for http in sts_responses("GetSessionToken", &fixture) {
        let code = || async { Ok(SecretString::from("123456")) };
        let exchange = || SessionTokenProvider::builder(static_source()).client_config(&http.client_config());
        fixture.assert_contract(exchange().build().unwrap()).await;
        fixture.assert_contract(exchange().mfa("GAHT12345678", code).build().unwrap()).await;
        let refusing = SessionTokenProvider::builder(fixture.source()).client_config(&http.client_config());
        fixture.assert_contract(refusing.build().unwrap()).await;
        let passing = SessionTokenProvider::builder(fixture.source()).client_config(&http.client_config());
        fixture.assert_contract(passing.allow_temporary().build().unwrap()).await;
    }
    for http in sts_responses("GetFederationToken", &fixture) {
        let federated =
            FederationTokenProvider::builder("alice", static_source()).client_config(&http.client_config());
        fixture.assert_contract(federated.build().unwrap()).await;
    }
}

#[tokio::test]
async fn scoped_provider_keeps_contract() {
    let (source, fixture) = (CanaryFixture::new(), CanaryFixture::new());
    let keys = [2, 0, 1].map(|part| fixture.secrets[part].as_str());
    let scoped = HttpFixture::responding(200, issued_response("GetScopedCredentials", SCOPED_SESSION, keys));
    assert!(scoped_down_provider(&source, &scoped).provide().await.is_ok());
    for http in sts_responses("GetSessionToken", &fixture).iter().chain([&scoped]) {
        fixture.assert_contract(scoped_down_provider(&source, http)).await;
        source.assert_contract(scoped_down_provider(&source, http)).await;
    }
    let passing = ScopedProvider::builder(fixture.source()).client_config(&scoped.client_config());
    fixture.assert_contract(passing.build().unwrap()).await;
}

fn scoped_down_provider(source: &CanaryFixture, http: &HttpFixture) -> Arc<dyn CredentialProvider> {
    let provider =
        ScopedProvider::builder(source.source()).client_config(&http.client_config()).build().unwrap();
    provider.scope_down(&SessionPolicy::read_only(["s3"]).unwrap()).unwrap()
}

#[tokio::test]
async fn process_provider_keeps_contract() {
    let fixture = CanaryFixture::new();
    let [secret, token, id] = <[String; 3]>::try_from(fixture.secrets.clone()).unwrap();
    let whole = serde_json::json!({
        "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret, "SessionToken": token,
    });
    let whole = whole.to_string();
    for (script, text) in [
        (r#"printf %s "$1""#, whole.as_str()),
        (r#"printf %s "$1""#, &whole[..whole.len() - 1]),
        (r#"printf %s "$1"; printf %s "$1" >&2; exit 1"#, &whole),
    ] {
        let program = ProcessProvider::builder("/bin/sh").args(["-c", script, "sh", text]);
        fixture.assert_contract(program.build().unwrap()).await;
    }
    fixture.assert_contract(ProcessProvider::builder("/nowhere").arg(whole).build().unwrap()).await;
}

#[tokio::test]
#[ignore = "the other half of the next test, which makes its environment"]
async fn child_process_with_ambient_keys() {
    let secret = std::env::var("AWS_SECRET_ACCESS_KEY").unwrap();
    let providers: [&dyn CredentialProvider; 2] =
        [&DefaultChainProvider::new(), &ProfileProvider::new("absent")];
    for provider in providers {
        let faults = contract::faults(provider, &[&secret]).await;
        assert!(faults.is_empty(), "{provider:?}: {faults:#?}");
    }
    assert_eq!(DefaultChainProvider::new().provide().await.unwrap().expose_secret_access_key(), secret);
}

#[test]
fn ambient_provider_keeps_contract() {
    let keys = [
        ("AWS_ACCESS_KEY_ID", crate::KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", "the-hosts-own"),
        ("HOME", "/nowhere"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    crate::run_in_child_process("contract::child_process_with_ambient_keys", &keys);
}

#[tokio::test]
async fn secrets_manager_provider_keeps_contract() {
    let fixture = CanaryFixture::new();
    let secret = fixture.canary.to_json().to_string();
    let complete = HttpFixture::responding(200, serde_json::json!({ "SecretString": secret }).to_string());
    let truncated = HttpFixture::responding(
        200,
        serde_json::json!({ "SecretString": &secret[..secret.len() - 1] }).to_string(),
    );
    let denied = serde_json::json!({ "__type": "AccessDeniedException", "message": secret }).to_string();
    // One response to both operations: the payload is cached, and then only its version is checked.
    let partial = HttpFixture::responding(
        200,
        serde_json::json!({
            "ARN": "arn", "VersionId": "one", "VersionIdsToStages": { "one": ["AWSCURRENT"] }, "SecretString": secret,
        })
        .to_string(),
    );
    for http in [
        complete,
        partial,
        truncated,
        HttpFixture::responding(400, denied),
        HttpFixture::new(PeerBehavior::NeverResponds),
    ] {
        let builder =
            SecretsManagerProvider::builder("agent", fixture.source()).client_config(&http.client_config());
        fixture.assert_contract(builder.build().unwrap()).await;
    }
}

#[tokio::test]
async fn provider_chain_and_scoped_down_keep_contract() {
    let fixture = CanaryFixture::new();
    let [secret, token, id] = <[String; 3]>::try_from(fixture.secrets.clone()).unwrap();
    let absent = || ProviderChain::new(MemoryProvider::new()).or_else(EnvProvider::new(|_| None));
    fixture.assert_contract(absent()).await;
    fixture
        .assert_contract(
            absent().or_else(MemoryProvider::from(fixture.canary.credentials(Expiry::Never).unwrap())),
        )
        .await;
    let policy = SessionPolicy::read_only(["s3"]).unwrap();
    for http in [
        HttpFixture::responding(200, assume_role_response(&id, &secret, &token)),
        HttpFixture::responding(200, issued_response("GetFederationToken", "", [&id, &secret, &token])),
        HttpFixture::responding(403, refused("AccessDenied", &secret)),
        HttpFixture::new(PeerBehavior::Disconnects),
    ] {
        let role = "arn:aws:iam::222222222222:role/agent".parse().unwrap();
        let role = AssumeRoleProvider::builder(role, fixture.source())
            .client_config(&http.client_config())
            .build()
            .unwrap();
        fixture.assert_contract(role.scope_down(&policy).unwrap()).await;
        let exchange = SessionTokenProvider::builder(static_source())
            .client_config(&http.client_config())
            .build()
            .unwrap();
        fixture.assert_contract(exchange.scope_down(&policy).unwrap()).await;
        fixture.assert_contract(absent().or_else(role)).await;
    }
}

#[derive(Debug)]
struct FailingSdkProvider(String);

impl ProvideCredentials for FailingSdkProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::provider_error(self.0.clone())))
    }
}

#[tokio::test]
async fn sdk_provider_keeps_contract() {
    let fixture = CanaryFixture::new();
    let keys = fixture.canary.credentials(Expiry::Never).unwrap().expose_to_sdk();
    fixture.assert_contract(SdkProvider::new("ambient", keys)).await;
    fixture
        .assert_contract(SdkProvider::new("ambient", FailingSdkProvider(fixture.secrets[0].clone())))
        .await;
}
