//! `KmsDecryptor`: decrypts a small document with a key of AWS KMS.

use std::fmt;
use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::Builder;
use aws_smithy_types::Blob;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use valetkey_core::{CredentialProvider, Error, ErrorKind, IntoProvider, Region, Result, SecretString};
use zeroize::Zeroizing;

use crate::client_config::{new_retry_partition, to_sdk_region};
use crate::{AwsClientConfig, error, validity};

const KEY_FIELD: &str = "key";
/// The longest ciphertext that `Decrypt` accepts, in bytes.
const MAX_CIPHERTEXT: usize = 6 * 1024;

/// Decrypts what AWS KMS has encrypted with one symmetric key, such as the key ring of a fleet of gateways: who copies
/// the ciphertext cannot read it without the permission `kms:Decrypt` for the key.
///
/// Each decryption signs with the present credentials of the source.
///
/// # Examples
/// ```no_run
/// use valetkey_backends::{AwsClientConfig, EnvProvider, KmsDecryptor};
///
/// # async fn example(ciphertext: &[u8]) -> valetkey_core::Result<()> {
/// let key = "arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// let client_config = AwsClientConfig::from_process().await;
/// let decryptor = KmsDecryptor::new(key, EnvProvider::from_process(), &client_config)?;
/// let document = decryptor.decrypt(ciphertext, &[("valetkey:namespace", "valetkey")]).await?;
/// # Ok(())
/// # }
/// ```
pub struct KmsDecryptor {
    key_arn: String,
    source: Arc<dyn CredentialProvider>,
    config: aws_sdk_kms::Config,
}

impl KmsDecryptor {
    /// Creates a decryptor for the key with this ARN, whose region it uses.
    ///
    /// # Errors
    /// `Invalid` if the ARN is not that of a key: an alias could be moved to another key.
    ///
    /// # Examples
    /// ```
    /// use valetkey_backends::{AwsClientConfig, EnvProvider, KmsDecryptor};
    ///
    /// let alias = "arn:aws:kms:eu-central-1:111111111111:alias/ring";
    /// let error = KmsDecryptor::new(alias, EnvProvider::from_process(), &AwsClientConfig::new()).unwrap_err();
    /// assert_eq!(error.field(), Some("key"));
    /// ```
    pub fn new(key_arn: &str, source: impl IntoProvider, client_config: &AwsClientConfig) -> Result<Self> {
        let region = key_region(key_arn).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "the key is not the ARN of a key of AWS KMS")
                .with_field(KEY_FIELD)
                .with_next_step("write `arn:aws:kms:REGION:ACCOUNT:key/ID`")
        })?;
        let config = Builder::from(client_config.config()).region(to_sdk_region(&region)).build();
        Ok(Self { key_arn: key_arn.to_owned(), source: source.into_provider(), config })
    }

    /// Decrypts a text in UTF-8. `context` is the encryption context, which must be that of the encryption.
    ///
    /// # Errors
    /// - Errors of the source keep their kind.
    /// - `Invalid`: the ciphertext was made with another key or context, or was changed; the plaintext is no UTF-8; or the
    ///   key is not in a state to be used.
    /// - `Denied`: the identity may not use the key.
    /// - `Throttled`, `TimedOut`, `Unavailable`: KMS cannot respond now.
    ///
    /// # Cancel safety
    /// A dropped future leaves nothing behind.
    pub async fn decrypt(&self, ciphertext: &[u8], context: &[(&str, &str)]) -> Result<SecretString> {
        if ciphertext.is_empty() || ciphertext.len() > MAX_CIPHERTEXT {
            return Err(unusable_ciphertext("is empty or longer than 6,144 bytes"));
        }
        let source = validity::source_credentials(&*self.source).await?;
        let config = self.config.to_builder().credentials_provider(source.expose_to_sdk());
        let partition = new_retry_partition(self.config.retry_config());
        let client = Client::from_conf(config.retry_partition(partition).build());
        let call = client.decrypt().key_id(&self.key_arn).ciphertext_blob(Blob::new(ciphertext));
        let call = context.iter().fold(call, |call, (name, value)| call.encryption_context(*name, *value));
        let output = call.send().await.map_err(|error| match error.code() {
            Some("InvalidCiphertextException" | "IncorrectKeyException") => {
                unusable_ciphertext("was not made with this key and encryption context, or was changed")
            }
            _ => error::from_sdk_error("Decrypt", &error),
        })?;
        let plaintext = Zeroizing::new(output.plaintext.map(Blob::into_inner).unwrap_or_default());
        let text =
            std::str::from_utf8(&plaintext).map_err(|_echo| unusable_ciphertext("contains no text"))?;
        Ok(SecretString::from(text))
    }
}

fn unusable_ciphertext(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("the ciphertext {what}"))
        .with_next_step("encrypt the document again, with the same key and encryption context")
}

fn key_region(arn: &str) -> Option<Region> {
    let mut parts = arn.splitn(6, ':');
    let is_arn = parts.next() == Some("arn") && parts.next().is_some_and(|part| part.starts_with("aws"));
    let is_kms = is_arn && parts.next() == Some("kms");
    let region = parts.next().filter(|_| is_kms)?.parse().ok()?;
    let _account = parts.next()?;
    parts.next()?.strip_prefix("key/").filter(|id| !id.is_empty()).map(|_| region)
}

impl fmt::Debug for KmsDecryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsDecryptor").field("key_arn", &self.key_arn).finish_non_exhaustive()
    }
}
