//! MiniStack enforces policies, trust and expiry, and its refusals have the right kinds.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_sts::config::SharedCredentialsProvider;
use valetkey_backends::{SdkConfigExt, SecretsManagerProvider, SecretsManagerResolver};
use valetkey_core::{
    AccessScope, CredentialId, CredentialProvider, CredentialResolver, Credentials, ErrorKind, SecretString,
    SessionContext, SessionPolicy,
};
use valetkey_rig::{MiniStack, REGION, Script, Seed, Tenant, aws_environment};

use super::{caller_account, client_config_at, credentials, role, session, source_from_key};
use crate::{memory_source, policy_json, region};

pub(super) async fn seeded() -> (MiniStack, Seed) {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    (ministack, seed)
}

pub(super) async fn s3(session: &SessionContext, ministack: &MiniStack) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::new(
        &session.sdk_config_from(client_config_at(&ministack.url()).config()).await.unwrap(),
    )
}

/// The code with which S3 refuses to list the session's buckets, if it does.
pub(super) async fn refusal(client: &aws_sdk_s3::Client) -> Option<String> {
    let result = client.list_buckets().send().await;
    result.err().map(|error| error.code().unwrap_or("none").to_owned())
}

#[tokio::test]
async fn assume_role_wrong_external_id_is_denied() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let right = session(role(tenant, &seed.broker, &url).build().unwrap());
    assert_eq!(caller_account(&right, &url).await, tenant.account);

    let builder = || {
        let role = tenant.role_arn.parse().unwrap();
        valetkey_backends::AssumeRoleProvider::builder(role, source_from_key(&seed.broker))
            .client_config(&client_config_at(&url))
    };
    for wrong in [
        builder(),
        builder().external_id("of-another-tenant"),
        builder().external_id(&seed.tenants[1].external_id),
    ] {
        let error = wrong.build().unwrap().provide().await.unwrap_err();
        assert_eq!((error.kind(), error.provider()), (ErrorKind::Denied, Some("assume-role")), "{error}");
        assert!(error.message().contains("AccessDenied"), "{error}");
    }
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn secret_is_read_by_name_and_by_credential_id() {
    let (ministack, seed) = seeded().await;
    let (base, tenant) = (client_config_at(&ministack.url()), &seed.tenants[0]);
    let provider = SecretsManagerProvider::builder(&tenant.secret_id, source_from_key(&seed.broker))
        .client_config(&base);
    let read = provider.build().unwrap().provide().await.unwrap();

    let prefix = tenant.secret_id.strip_suffix(&tenant.credential_id).unwrap();
    let resolver = SecretsManagerResolver::builder(prefix, source_from_key(&seed.broker))
        .client_config(&base)
        .build()
        .unwrap();
    let id: CredentialId = tenant.credential_id.parse().unwrap();
    let resolved = resolver.resolve(&id).await.unwrap();
    for found in [&read, &resolved] {
        assert_eq!(found.access_key_id().as_str(), tenant.service.access_key_id);
        assert_eq!(found.region().unwrap().as_str(), "us-west-2");
    }
    let session = SessionContext::builder().resolver(resolver).build();
    session.set_from_resolver(&id, None).await.unwrap();
    assert_eq!(caller_account(&session, &ministack.url()).await, tenant.account);

    let unknown = session.set_from_resolver(&"unknown".parse().unwrap(), None).await.unwrap_err();
    assert_eq!(
        (unknown.kind(), unknown.field()),
        (ErrorKind::Invalid, Some("provider_credential_id")),
        "{unknown}"
    );
    let stranger =
        SecretsManagerProvider::builder(&tenant.secret_id, memory_source(crate::long_lived(crate::KEY_ID)))
            .client_config(&base);
    assert_eq!(stranger.build().unwrap().provide().await.unwrap_err().kind(), ErrorKind::Denied);
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn assume_role_session_policy_is_enforced() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let narrowed = async |action: &str| {
        let role = role(tenant, &seed.broker, &url).policy(policy_json(action)).build().unwrap();
        refusal(&s3(&session(role), &ministack).await).await
    };
    assert_eq!(narrowed("s3:ListAllMyBuckets").await, None);
    assert_eq!(narrowed("sts:GetCallerIdentity").await.as_deref(), Some("AccessDenied"));
    ministack.stop().await.unwrap();
}

/// What of listing, reading and writing is refused to the session.
async fn denied_operations(session: &SessionContext, ministack: &MiniStack, bucket: &str) -> [bool; 3] {
    let client = s3(session, ministack).await;
    let listed = client.list_objects_v2().bucket(bucket).send().await;
    let read = client.get_object().bucket(bucket).key("k").send().await;
    let written = client.put_object().bucket(bucket).key("k").send().await;
    [is_access_denied(listed), is_access_denied(read), is_access_denied(written)]
}

fn is_access_denied<T>(result: Result<T, impl ProvideErrorMetadata>) -> bool {
    result.is_err_and(|error| error.code() == Some("AccessDenied"))
}

#[tokio::test]
async fn narrowed_session_chain_only_reduces_permissions() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let parent = session(role(tenant, &seed.broker, &url).build().unwrap());
    assert_eq!(denied_operations(&parent, &ministack, &tenant.bucket).await, [false, false, false]);

    let policy = |actions: &str| -> SessionPolicy {
        let statement = format!(r#"{{"Effect":"Allow","Action":{actions},"Resource":"*"}}"#);
        format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#).parse().unwrap()
    };
    let scope = |actions: &str| AccessScope::new().policy(policy(actions)).lifetime(Duration::from_secs(600));
    let agent = parent.narrow(scope(r#"["s3:List*","s3:GetObject"]"#)).unwrap();
    assert_eq!(denied_operations(&agent, &ministack, &tenant.bucket).await, [false, false, true]);
    let sub_agent = agent.narrow(scope(r#"["s3:*","iam:*"]"#)).unwrap();
    assert_eq!(
        denied_operations(&sub_agent, &ministack, &tenant.bucket).await,
        [false, false, true],
        "asking for more is no use"
    );
    let reader = agent.narrow(scope(r#"["s3:Get*","s3:Put*"]"#)).unwrap();
    assert_eq!(denied_operations(&reader, &ministack, &tenant.bucket).await, [true, false, true]);

    agent.close();
    assert!(s3(&parent, &ministack).await.list_buckets().send().await.is_ok());
    assert_eq!(reader.credentials().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(denied_operations(&parent, &ministack, &tenant.bucket).await, [false, false, false]);
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn narrowed_session_read_only_denies_writes() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let parent = session(role(tenant, &seed.broker, &url).build().unwrap());
    assert_eq!(denied_operations(&parent, &ministack, &tenant.bucket).await, [false, false, false]);
    let reader =
        parent.narrow(AccessScope::new().policy(SessionPolicy::read_only(["s3", "sts"]).unwrap())).unwrap();
    assert_eq!(
        denied_operations(&reader, &ministack, &tenant.bucket).await,
        [false, true, true],
        "no content, no writing"
    );
    assert_eq!(caller_account(&reader, &url).await, tenant.account);
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn assume_role_session_tags_are_enforced() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    deny_buckets_to_tier_low(&url, tenant).await;
    let tagged = async |tier: &str| {
        let role = role(tenant, &seed.broker, &url).tag("tier", tier).transitive_tag("tier").build().unwrap();
        refusal(&s3(&session(role), &ministack).await).await
    };
    assert_eq!(tagged("high").await, None);
    assert_eq!(tagged("low").await.as_deref(), Some("AccessDenied"));
    ministack.stop().await.unwrap();
}

async fn deny_buckets_to_tier_low(url: &str, tenant: &Tenant) {
    const PUT: &str = "import boto3, json; boto3.client('iam').put_role_policy(RoleName='agent', PolicyName='tier', \
        PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Deny', 'Action': 's3:*', \
        'Resource': '*', 'Condition': {'StringEquals': {'aws:PrincipalTag/tier': 'low'}}}]}))";
    let root = MiniStack::root(&tenant.account);
    let mut vars = aws_environment(url);
    vars.push(("AWS_ACCESS_KEY_ID".to_owned(), root.access_key_id));
    vars.push(("AWS_SECRET_ACCESS_KEY".to_owned(), root.secret_access_key));
    Script::new("-c").arg(PUT).envs(vars).run().await.unwrap();
}

/// Credentials of two seconds, which our builder would refuse; without an expiry, so that only the peer
/// can tell that it has run out.
async fn short_lived_credentials(seed: &Seed, url: &str) -> Credentials {
    let broker = credentials(&seed.broker).expose_to_sdk();
    let config = client_config_at(url)
        .config()
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(broker))
        .build();
    let tenant = &seed.tenants[0];
    let result = aws_sdk_sts::Client::new(&config)
        .assume_role()
        .role_arn(&tenant.role_arn)
        .role_session_name("short")
        .external_id(&tenant.external_id)
        .duration_seconds(2)
        .send()
        .await;
    let keys = result.unwrap().credentials.unwrap();
    Credentials::builder(keys.access_key_id.parse().unwrap(), SecretString::from(keys.secret_access_key))
        .session_token(SecretString::from(keys.session_token))
        .build()
        .unwrap()
}

#[tokio::test]
async fn expired_credentials_are_refused_as_expired() {
    let (ministack, seed) = seeded().await;
    let url = ministack.url();
    let short = short_lived_credentials(&seed, &url).await;
    let session = SessionContext::builder().region(region(REGION)).build();
    session.set_credentials(short.clone()).unwrap();
    let client = s3(&session, &ministack).await;
    assert_eq!(refusal(&client).await, None, "it works while it lasts");
    let secret = SecretsManagerProvider::builder("nothing", memory_source(short))
        .client_config(&client_config_at(&url))
        .build()
        .unwrap();
    assert_eq!(
        secret.provide().await.unwrap_err().kind(),
        ErrorKind::Invalid,
        "known, but there is no such secret"
    );

    let mut refused = None;
    for _ in 0..200 {
        refused = refusal(&client).await;
        if refused.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(refused.as_deref().is_some_and(|code| code.contains("ExpiredToken")), "{refused:?}");
    let error = secret.provide().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Expired, false), "{error}");
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn assume_role_from_session_follows_its_credentials() {
    let (ministack, seed) = seeded().await;
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let host = SessionContext::builder().build();
    let account = Arc::new(host.account(host.default_account()).unwrap());
    let role = valetkey_backends::AssumeRoleProvider::builder(tenant.role_arn.parse().unwrap(), account)
        .external_id(&tenant.external_id)
        .client_config(&client_config_at(&url))
        .build()
        .unwrap();
    assert_eq!(role.provide().await.unwrap_err().field(), Some("source"));
    host.set_credentials(credentials(&seed.broker)).unwrap();
    assert_eq!(role.provide().await.unwrap().account_id().unwrap().as_str(), tenant.account);
    host.set_credentials(credentials(&seed.tenants[1].service)).unwrap();
    assert_eq!(
        role.provide().await.unwrap_err().kind(),
        ErrorKind::Denied,
        "the trust names the broker only"
    );
    ministack.stop().await.unwrap();
}
