//! Web identity and federation with an STS that enforces trust, policies and identities.

use valetkey_backends::{FederationTokenProvider, SessionTokenProvider, WebIdentityProvider};
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind, SecretString};
use valetkey_rig::{MiniStack, Moto, Script, Seed, aws_environment};

use super::ministack::{refusal, s3, seeded};
use super::{caller_account, client_config_at, credentials, session, source_from_key};
use crate::{memory_source, policy_allowing, policy_json};

/// A role that trusts one issuer for one audience, made by the tenant's root.
const TRUST: &str = "import boto3, json; boto3.client('iam').create_role(RoleName='federated', \
    AssumeRolePolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', \
    'Principal': {'Federated': 'arn:aws:iam::111111111111:oidc-provider/ci.example.org'}, \
    'Action': 'sts:AssumeRoleWithWebIdentity', \
    'Condition': {'StringEquals': {'ci.example.org:aud': 'sts.amazonaws.com'}}}]}))";

async fn trusting_role(url: &str, account: &str) -> String {
    let root = MiniStack::root(account);
    let mut vars = aws_environment(url);
    vars.push(("AWS_ACCESS_KEY_ID".to_owned(), root.access_key_id));
    vars.push(("AWS_SECRET_ACCESS_KEY".to_owned(), root.secret_access_key));
    Script::new("-c").arg(TRUST).envs(vars).run().await.unwrap();
    format!("arn:aws:iam::{account}:role/federated")
}

/// `{"iss":"https://ci.example.org","aud":…}`, with a signature that this peer does not check.
fn identity_token(audience: &str) -> String {
    let part = |json: serde_json::Value| base64_url(json.to_string().as_bytes());
    let head = part(serde_json::json!({ "alg": "RS256", "typ": "JWT" }));
    let claims = serde_json::json!({ "iss": "https://ci.example.org", "aud": audience, "sub": "job-7" });
    format!("{head}.{}.c2lnbmF0dXJl", part(claims))
}

fn base64_url(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes).replace('+', "-").replace('/', "_").replace('=', "")
}

#[tokio::test]
async fn web_identity_trusted_token_accepted_other_denied() {
    let (ministack, seed) = seeded().await;
    let (url, account) = (ministack.url(), seed.tenants[0].account.as_str());
    let role = trusting_role(&url, account).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let provider = || {
        WebIdentityProvider::from_file(role.parse().unwrap(), &path)
            .client_config(&client_config_at(&url))
            .build()
            .unwrap()
    };

    std::fs::write(&path, format!("{}\n", identity_token("sts.amazonaws.com"))).unwrap();
    let session = session(provider());
    assert_eq!(caller_account(&session, &url).await, account);
    let set = session.credentials().await.unwrap();
    assert!(set.has_session_token() && set.expiry().instant().is_some());

    for stranger in [identity_token("another-subject"), "no-token-at-all".to_owned()] {
        std::fs::write(&path, stranger).unwrap();
        let error = provider().provide().await.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (ErrorKind::Denied, Some("web-identity")), "{error}");
    }
    ministack.stop().await.unwrap();
}

fn session_token_provider(seed: &Seed, url: &str) -> SessionTokenProvider {
    SessionTokenProvider::builder(source_from_key(&seed.tenants[0].service))
        .client_config(&client_config_at(url))
        .build()
        .unwrap()
}

fn assert_denied(error: &Error) {
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Denied, Some("federation")), "{error}");
}

#[tokio::test]
async fn session_token_acts_as_user_and_cannot_be_exchanged() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let session = session(session_token_provider(&seed, &url));
    let issued = session.credentials().await.unwrap();
    assert_ne!(issued.access_key_id().as_str(), tenant.service.access_key_id);
    assert_eq!(caller_account(&session, &url).await, tenant.account);
    assert_eq!(refusal(&s3(&session, &ministack).await).await, None);

    // The provider refuses such a source before a request. The token is hidden from it, so that the peer refuses.
    let stripped = SecretString::from(issued.expose_secret_access_key());
    let stripped = Credentials::builder(issued.access_key_id().clone(), stripped).build().unwrap();
    assert_denied(
        &SessionTokenProvider::builder(memory_source(stripped))
            .client_config(&client_config_at(&url))
            .build()
            .unwrap()
            .provide()
            .await
            .unwrap_err(),
    );
    let stranger = SessionTokenProvider::builder(memory_source(crate::long_lived(crate::KEY_ID)))
        .client_config(&client_config_at(&url));
    assert_denied(&stranger.build().unwrap().provide().await.unwrap_err());
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn federation_token_is_limited_by_its_policy() {
    let (ministack, seed) = seeded().await;
    let url = ministack.url();
    let federated = || {
        FederationTokenProvider::builder("alice", source_from_key(&seed.tenants[0].service))
            .client_config(&client_config_at(&url))
    };
    let narrowed = |action: &str| {
        session(session_token_provider(&seed, &url).scope_down(&policy_allowing(action)).unwrap())
    };
    assert_eq!(refusal(&s3(&narrowed("s3:List*"), &ministack).await).await, None);
    let other = refusal(&s3(&narrowed("iam:ListRoles"), &ministack).await).await;
    assert_eq!(other.as_deref(), Some("AccessDenied"), "a plain exchange is narrowed by federating");
    for (builder, refused) in [
        (federated().policy(policy_json("s3:ListAllMyBuckets")), None),
        (federated().policy(policy_json("iam:ListRoles")), Some("AccessDenied")),
        (federated(), Some("AccessDenied")),
    ] {
        let session = session(builder.tag("team", "blue").build().unwrap());
        assert_eq!(refusal(&s3(&session, &ministack).await).await.as_deref(), refused);
        let account = session.credentials().await.unwrap().account_id().unwrap().clone();
        assert_eq!(account.as_str(), seed.tenants[0].account);
    }
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn guarded_account_serves_only_exchanged_credentials() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let empty = std::sync::Arc::new(valetkey_backends::MemoryProvider::new());
    let guarded = valetkey_core::SessionContext::builder()
        .exchange_static_keys(
            SessionTokenProvider::builder(empty)
                .client_config(&client_config_at(&url))
                .build_key_exchange()
                .unwrap(),
        )
        .build();
    guarded.set_credentials(credentials(&tenant.service)).unwrap();
    let set = guarded.credentials().await.unwrap();
    assert!(set.has_session_token());
    assert_ne!(set.access_key_id().as_str(), tenant.service.access_key_id);
    assert_eq!(caller_account(&guarded, &url).await, tenant.account);
    ministack.stop().await.unwrap();
}

/// Moto accepts any credentials; its response shows that it understood the request.
#[tokio::test]
async fn sts_requests_with_all_fields_accepted_by_moto() {
    let moto = Moto::start().await.unwrap();
    let base = client_config_at(&moto.url());
    let anybody = || memory_source(crate::long_lived(crate::KEY_ID));
    let duration = std::time::Duration::from_secs(900);
    let code = || async { Ok(SecretString::from("123456")) };
    let mfa = "arn:aws:iam::111111111111:mfa/alice";
    let exchanged = SessionTokenProvider::builder(anybody())
        .session_duration(duration)
        .mfa(mfa, code)
        .client_config(&base);
    let federated = FederationTokenProvider::builder("alice", anybody())
        .session_duration(duration)
        .policy(r#"{"Version":"2012-10-17","Statement":[]}"#)
        .policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
        .tag("team", "blue")
        .client_config(&base)
        .build()
        .unwrap();
    let token = || async { Ok(SecretString::from("any-token")) };
    let role = "arn:aws:iam::111111111111:role/agent".parse().unwrap();
    let identity = WebIdentityProvider::builder(role, token)
        .session_duration(duration)
        .session_name("job-7")
        .policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess")
        .client_config(&base)
        .build()
        .unwrap();
    let exchanged = exchanged.build().unwrap();
    for provider in [&exchanged as &dyn CredentialProvider, &federated, &identity] {
        let set = provider.provide().await.unwrap();
        assert!(set.has_session_token() && set.expiry().instant().is_some());
    }
    assert_eq!((federated.utilization(), identity.utilization()), (Some(6), Some(6)));
    moto.stop().await.unwrap();
}
