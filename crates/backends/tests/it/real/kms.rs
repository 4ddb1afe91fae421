//! Documents that moto's KMS has encrypted.

use aws_sdk_kms::Client;
use aws_sdk_kms::config::SharedCredentialsProvider;
use aws_smithy_types::Blob;
use valetkey_backends::KmsDecryptor;
use valetkey_core::{Error, ErrorKind, ExposeSecret};
use valetkey_rig::{AccessKey, Moto};

use super::{client_config_at, source_from_key};

const CONTEXT: (&str, &str) = ("valetkey:namespace", "fleet");

fn key() -> AccessKey {
    AccessKey { access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret_access_key: "secret".to_owned() }
}

fn client(url: &str) -> Client {
    let keys = aws_credential_types::Credentials::new(
        key().access_key_id,
        key().secret_access_key,
        None,
        None,
        "owner",
    );
    let keys = SharedCredentialsProvider::new(keys);
    Client::new(&client_config_at(url).config().to_builder().credentials_provider(keys).build())
}

async fn create_key(client: &Client) -> String {
    client.create_key().send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}

async fn encrypt(client: &Client, key_arn: &str, text: &[u8]) -> Vec<u8> {
    let call = client.encrypt().key_id(key_arn).plaintext(Blob::new(text));
    let output = call.encryption_context(CONTEXT.0, CONTEXT.1).send().await.unwrap();
    output.ciphertext_blob.unwrap().into_inner()
}

fn decryptor(url: &str, key_arn: &str) -> KmsDecryptor {
    KmsDecryptor::new(key_arn, source_from_key(&key()), &client_config_at(url)).unwrap()
}

#[tokio::test]
async fn kms_document_is_decrypted_with_its_context_only() {
    let moto = Moto::start().await.unwrap();
    let (url, client) = (moto.url(), client(&moto.url()));
    let key_arn = create_key(&client).await;
    let ciphertext = encrypt(&client, &key_arn, b"a ring").await;
    let decryptor = decryptor(&url, &key_arn);
    let text = decryptor.decrypt(&ciphertext, &[CONTEXT]).await.unwrap();
    assert_eq!(text.expose_secret(), "a ring");
    let mut changed = ciphertext.clone();
    *changed.last_mut().unwrap() ^= 1;
    let no_text = encrypt(&client, &key_arn, b"\xff").await;
    let refused = [
        decryptor.decrypt(&ciphertext, &[("valetkey:namespace", "other")]).await,
        decryptor.decrypt(&ciphertext, &[]).await,
        decryptor.decrypt(&changed, &[CONTEXT]).await,
        decryptor.decrypt(&no_text, &[CONTEXT]).await,
        decryptor.decrypt(&[], &[CONTEXT]).await,
        decryptor.decrypt(&[0; 7_000], &[CONTEXT]).await,
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.message().starts_with("the ciphertext "), "{error}");
    }
    moto.stop().await.unwrap();
}

#[tokio::test]
async fn kms_unknown_key_is_permanent_and_outage_is_not() {
    let moto = Moto::start().await.unwrap();
    let (url, client) = (moto.url(), client(&moto.url()));
    let key_arn = create_key(&client).await;
    let ciphertext = encrypt(&client, &key_arn, b"a ring").await;
    let kind = |error: Error| (error.kind(), error.is_transient());
    moto.reset().await.unwrap();
    let decryptor = decryptor(&url, &key_arn);
    let unknown = decryptor.decrypt(&ciphertext, &[CONTEXT]).await.map(drop).map_err(kind);
    assert_eq!(unknown, Err((ErrorKind::Invalid, false)));
    moto.stop().await.unwrap();
    let outage = decryptor.decrypt(&ciphertext, &[CONTEXT]).await.map(drop).map_err(kind);
    assert_eq!(outage, Err((ErrorKind::Unavailable, true)));
}
