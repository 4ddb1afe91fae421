//! A key ring that AWS KMS has encrypted.

use valetkey::ExposeSecret;
use valetkey::store::KeyRing;
use valetkey_rig::{Moto, Redis, Script, aws_environment};

use super::{HttpGatewayFixture, PRINCIPALS, STORE, create, set, settings_with_ring, until_state};
use crate::program_fixture::ProgramFixture;
use crate::real::unknown_key;

/// Encrypts the ring of the namespace, and prints the ARN of the key and the ciphertext.
const ENCRYPT: &str = "
import base64, boto3, os
kms = boto3.client('kms')
arn = kms.create_key()['KeyMetadata']['Arn']
context = {'valetkey:namespace': os.environ['NAMESPACE']}
found = kms.encrypt(KeyId=arn, Plaintext=os.environ['RING'].encode(), EncryptionContext=context)
print(arn, base64.b64encode(found['CiphertextBlob']).decode())
";

async fn settings(moto: &Moto, redis: &Redis, namespace: &str) -> ProgramFixture {
    let key = unknown_key();
    let mut variables = aws_environment(&moto.url());
    variables.extend([
        ("AWS_ACCESS_KEY_ID".to_owned(), key.access_key_id),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), key.secret_access_key),
    ]);
    let ring = KeyRing::generate().unwrap().expose_document();
    let inputs = [("NAMESPACE", namespace), ("RING", ring.expose_secret())];
    let script = Script::new("-c").arg(ENCRYPT).envs(variables.clone()).envs(inputs);
    let output = script.run().await.unwrap();
    let (arn, ciphertext) = output.trim().split_once(' ').unwrap();
    let keys = format!("{PRINCIPALS}{STORE}key_ring_kms_key = '{arn}'\n");
    settings_with_ring(&redis.url(), ciphertext, &keys).envs(variables)
}

#[tokio::test]
async fn key_ring_encrypted_by_kms_is_decrypted_at_start() {
    let (moto, redis) = tokio::try_join!(Moto::start(), Redis::start(&[])).unwrap();
    let files = settings(&moto, &redis, "fleet").await;
    let [a, b] = super::start(&files).await;
    let session = create(&a).await;
    set(&a, &session, "AAAA").await;
    until_state(&b, &session, "AAAA").await;
    for node in [a, b] {
        HttpGatewayFixture::stop(node).await;
    }
    moto.stop().await.unwrap();
    redis.stop().await.unwrap();
}

#[tokio::test]
async fn key_ring_encrypted_for_other_namespace_is_refused() {
    let (moto, redis) = tokio::try_join!(Moto::start(), Redis::start(&[])).unwrap();
    let files = settings(&moto, &redis, "another-fleet").await;
    let output = files.run(&["serve", "--http", "127.0.0.1:0"]).await;
    assert_eq!(output.code, Some(78), "{}", output.stderr);
    assert!(output.stderr.contains("not made with this key and encryption context"), "{}", output.stderr);
    moto.stop().await.unwrap();
    redis.stop().await.unwrap();
}
