//! Secrets at real peers: rotated under load, staged, deleted, read from another account, in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::SharedCredentialsProvider;
use valetkey_backends::{MemoryProvider, SecretsManagerProvider, SecretsManagerResolver};
use valetkey_core::{CredentialId, CredentialProvider, CredentialResolver, ErrorKind, SessionContext};
use valetkey_rig::{AccessKey, MiniStack, Moto, Script, aws_environment};

use super::request_counter::RequestCounter;
use super::{client_config_at, credentials, role, session, source_from_key};

const GET: &str = "GetSecretValue";
const DESCRIBE: &str = "DescribeSecret";
const BATCH: &str = "BatchGetSecretValue";
const NAME: &str = "valetkey/agent";

/// The owner of a secret, who fills and rotates it.
struct SecretOwner(Client);

impl SecretOwner {
    fn new(url: &str, key: &AccessKey) -> Self {
        // The root key of an emulated account is none of ours.
        let (id, secret) = (key.access_key_id.as_str(), key.secret_access_key.as_str());
        let keys = aws_credential_types::Credentials::new(id, secret, None, None, "owner");
        let keys = SharedCredentialsProvider::new(keys);
        Self(Client::new(&client_config_at(url).config().to_builder().credentials_provider(keys).build()))
    }

    /// Makes the secret, holding key 1, and returns its ARN.
    async fn create(&self) -> String {
        let output =
            self.0.create_secret().name(NAME).secret_string(credentials_json(1)).send().await.unwrap();
        output.arn.unwrap()
    }

    /// Makes key `n` a version at `stage`, and returns the version's id.
    async fn put(&self, n: u64, stage: &str) -> String {
        let put = self
            .0
            .put_secret_value()
            .secret_id(NAME)
            .secret_string(credentials_json(n))
            .version_stages(stage);
        put.send().await.unwrap().version_id.unwrap()
    }

    async fn current(&self) -> String {
        let secret = self.0.describe_secret().secret_id(NAME).send().await.unwrap();
        let versions = secret.version_ids_to_stages.unwrap();
        let is_current = |(_, stages): &(String, Vec<String>)| stages.iter().any(|it| it == "AWSCURRENT");
        versions.into_iter().find(is_current).unwrap().0
    }

    async fn promote(&self, version_id: &str) {
        let update = self.0.update_secret_version_stage().secret_id(NAME).version_stage("AWSCURRENT");
        let update = update.move_to_version_id(version_id).remove_from_version_id(self.current().await);
        update.send().await.unwrap();
    }
}

fn credentials_json(n: u64) -> String {
    let id = format!("AKIA{n:016}");
    serde_json::json!({ "access_key_id": id, "secret_access_key": "not-a-real-secret" }).to_string()
}

fn key_number(credentials: &valetkey_core::Credentials) -> u64 {
    credentials.access_key_id().as_str().trim_start_matches("AKIA").parse().unwrap()
}

async fn served_key(provider: &dyn CredentialProvider) -> u64 {
    key_number(&provider.provide().await.unwrap())
}

async fn error_kind(provider: &dyn CredentialProvider) -> ErrorKind {
    provider.provide().await.unwrap_err().kind()
}

/// What plays on both peers: the peer's address, who owns the secret, and who reads it.
struct SecretPeerFixture {
    url: String,
    owner: AccessKey,
    reader: AccessKey,
}

impl SecretPeerFixture {
    fn moto(moto: &Moto) -> Self {
        let anybody =
            AccessKey { access_key_id: crate::KEY_ID.to_owned(), secret_access_key: "any".to_owned() };
        Self { url: moto.url(), owner: anybody.clone(), reader: anybody }
    }

    async fn ministack(ministack: &MiniStack) -> Self {
        let seed = ministack.seed().await.unwrap();
        let owner = MiniStack::root(&seed.broker_account);
        Self { url: ministack.url(), owner, reader: seed.broker }
    }
}

async fn check_rotation_under_load(SecretPeerFixture { url, owner, reader }: SecretPeerFixture) {
    let (base, config) = RequestCounter::client_config_at(&url);
    let owner = SecretOwner::new(&url, &owner);
    owner.create().await;
    let secret = SecretsManagerProvider::builder(NAME, source_from_key(&reader)).ttl(Duration::ZERO);
    let session = session(secret.client_config(&base).build().unwrap());
    assert_eq!(served_key(&session).await, 1);

    let over = Arc::new(AtomicBool::new(false));
    let reader = |_| {
        let (session, over) = (session.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut reads = 0_u64;
            while !over.load(Ordering::SeqCst) {
                session.credentials().await.unwrap();
                reads += 1;
                tokio::task::yield_now().await;
            }
            reads
        })
    };
    let readers: Vec<_> = (0..8).map(reader).collect();
    let mut rotations = session.watch_rotations().unwrap();
    let first = rotations.current();
    for n in 2..=6 {
        owner.put(n, "AWSCURRENT").await;
        // The joined fetch may have sent its request before the rotation; the next one sends it after.
        for _ in 0..2 {
            session.refresh().await.unwrap();
        }
        assert_eq!(served_key(&session).await, n);
        assert_eq!(
            rotations.changed().await.map(|now| now.get()),
            Some(first.get() + n - 1),
            "reported once for each version"
        );
    }
    over.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0, "no read failed, and each reader had some");
    }
    assert_eq!(config.calls(GET), 6, "each version is transferred once");
    assert!(config.calls(DESCRIBE) >= 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_rotated_under_load_is_fetched_once_per_version() {
    let (moto, ministack) = (Moto::start().await.unwrap(), MiniStack::start().await.unwrap());
    check_rotation_under_load(SecretPeerFixture::moto(&moto)).await;
    check_rotation_under_load(SecretPeerFixture::ministack(&ministack).await).await;
    moto.stop().await.unwrap();
    ministack.stop().await.unwrap();
}

async fn check_version_stages(SecretPeerFixture { url, owner, reader }: SecretPeerFixture) {
    let (base, config) = RequestCounter::client_config_at(&url);
    let owner = SecretOwner::new(&url, &owner);
    owner.create().await;
    let first = owner.current().await;
    let builder = || SecretsManagerProvider::builder(NAME, source_from_key(&reader)).client_config(&base);
    let current = builder().build().unwrap();
    let pending = builder().version_stage("AWSPENDING").build().unwrap();
    let by_id = builder().version_id(first).build().unwrap();
    assert_eq!((served_key(&current).await, served_key(&by_id).await), (1, 1));
    assert_eq!(error_kind(&pending).await, ErrorKind::Invalid);

    let second = owner.put(2, "AWSPENDING").await;
    let before = config.calls(GET);
    assert_eq!((served_key(&current).await, served_key(&by_id).await), (1, 1));
    assert_eq!(config.calls(GET), before, "what is pending moves nothing");
    assert_eq!(served_key(&pending).await, 2);
    owner.promote(&second).await;
    assert_eq!((served_key(&current).await, served_key(&by_id).await), (2, 1));

    owner.0.delete_secret().secret_id(NAME).send().await.unwrap();
    assert_eq!(error_kind(&current).await, ErrorKind::Invalid, "by what its description says");
    assert_eq!(error_kind(&current).await, ErrorKind::Invalid, "by what its reading says");
    assert_eq!(error_kind(&by_id).await, ErrorKind::Invalid);
    owner.0.restore_secret().secret_id(NAME).send().await.unwrap();
    assert_eq!(served_key(&current).await, 2);
}

#[tokio::test]
async fn secret_version_by_stage_or_id_until_deletion() {
    let (moto, ministack) = (Moto::start().await.unwrap(), MiniStack::start().await.unwrap());
    check_version_stages(SecretPeerFixture::moto(&moto)).await;
    check_version_stages(SecretPeerFixture::ministack(&ministack).await).await;
    moto.stop().await.unwrap();
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn secret_of_other_account_is_read_without_describe() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let (url, tenant) = (ministack.url(), &seed.tenants[0]);
    let owner = SecretOwner::new(&url, &MiniStack::root(&tenant.account));
    let arn = owner.create().await;
    let (base, config) = RequestCounter::client_config_at(&url);
    let direct = SecretsManagerProvider::builder(&arn, source_from_key(&seed.broker))
        .client_config(&base)
        .build()
        .unwrap();
    assert!(!direct.provide().await.unwrap_err().is_transient(), "the broker itself may not");
    let before = config.calls(GET);

    // The session caches the credentials of the role, so that all reads are by one identity.
    let source = Arc::new(session(role(tenant, &seed.broker, &url).build().unwrap()));
    let secret = SecretsManagerProvider::builder(&arn, source).client_config(&base).build().unwrap();
    for _ in 0..4 {
        assert_eq!(served_key(&secret).await, 1);
    }
    assert_eq!(
        (config.calls(DESCRIBE), config.calls(GET) - before),
        (1, 4),
        "it is denied once, and got each time"
    );
    owner.put(2, "AWSCURRENT").await;
    assert_eq!(served_key(&secret).await, 2);
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn cached_secret_is_not_served_to_other_identity() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let source = Arc::new(MemoryProvider::from(credentials(&seed.broker)));
    let builder = SecretsManagerProvider::builder(&seed.tenants[0].secret_id, source.clone());
    let secret = builder.client_config(&client_config_at(&ministack.url())).build().unwrap();
    secret.provide().await.unwrap();
    source.set(crate::long_lived(crate::KEY_ID));
    assert_eq!(error_kind(&secret).await, ErrorKind::Denied);
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn prefetch_without_batch_permission_reads_singly() {
    let ministack = MiniStack::start().await.unwrap();
    let seed = ministack.seed().await.unwrap();
    let prefix = seed.tenants[0].secret_id.strip_suffix(&seed.tenants[0].credential_id).unwrap();
    let mut ids: Vec<CredentialId> =
        seed.tenants.iter().map(|it| it.credential_id.parse().unwrap()).collect();
    ids.push("unknown".parse().unwrap());
    for singly in [3, 1] {
        let (base, config) = RequestCounter::client_config_at(&ministack.url());
        let source = source_from_key(&seed.broker);
        let resolver = SecretsManagerResolver::builder(prefix, source).client_config(&base).build().unwrap();
        let faults = resolver.prefetch(&ids).await;
        let failed: Vec<_> = faults.iter().map(|(id, error)| (id.as_str(), error.kind())).collect();
        assert_eq!(failed, [("unknown", ErrorKind::Invalid)]);
        assert_eq!((config.calls(BATCH), config.calls(GET)), (1, singly));
        let session = SessionContext::builder().resolver(resolver).build();
        for (id, tenant) in ids.iter().zip(&seed.tenants) {
            session.set_from_resolver(id, None).await.unwrap();
            assert_eq!(
                session.credentials().await.unwrap().access_key_id().as_str(),
                tenant.service.access_key_id
            );
        }
        assert_eq!(config.calls(GET), singly, "none was transferred again");
        assert_eq!(config.calls(DESCRIBE), if singly == 1 { 0 } else { 2 });
        allow_batches(&ministack.url(), &seed.broker_account).await;
    }
    ministack.stop().await.unwrap();
}

#[tokio::test]
async fn prefetch_batch_with_old_version_is_ignored() {
    let moto = Moto::start().await.unwrap();
    let SecretPeerFixture { url, owner, reader } = SecretPeerFixture::moto(&moto);
    let owner = SecretOwner::new(&url, &owner);
    owner.create().await;
    owner.promote(&owner.put(2, "AWSPENDING").await).await;
    let (base, config) = RequestCounter::client_config_at(&url);
    let (prefix, id) = NAME.split_at("valetkey/".len());
    let resolver = SecretsManagerResolver::builder(prefix, source_from_key(&reader))
        .client_config(&base)
        .build()
        .unwrap();
    let id: CredentialId = id.parse().unwrap();
    // Moto returns the version that was current before.
    assert!(resolver.prefetch(std::slice::from_ref(&id)).await.is_empty());
    assert_eq!(key_number(&resolver.resolve(&id).await.unwrap()), 2);
    assert_eq!((config.calls(BATCH), config.calls(GET)), (1, 1));
    moto.stop().await.unwrap();
}

async fn allow_batches(url: &str, account: &str) {
    const PUT: &str = "import boto3, json; boto3.client('iam').put_user_policy(UserName='broker', PolicyName='batch', \
        PolicyDocument=json.dumps({'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', \
        'Action': 'secretsmanager:BatchGetSecretValue', 'Resource': '*'}]}))";
    let root = MiniStack::root(account);
    let mut vars = aws_environment(url);
    vars.push(("AWS_ACCESS_KEY_ID".to_owned(), root.access_key_id));
    vars.push(("AWS_SECRET_ACCESS_KEY".to_owned(), root.secret_access_key));
    Script::new("-c").arg(PUT).envs(vars).run().await.unwrap();
}
