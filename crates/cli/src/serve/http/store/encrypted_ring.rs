//! `EncryptedRing`: a key ring that AWS KMS has encrypted, and that only an identity with permission for the key reads.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use valetkey::backends::{AwsClientConfig, DefaultChainProvider, KmsDecryptor};
use valetkey::store::KeyRing;
use valetkey::{Error, ExposeSecret, SecretString};

/// The key of the encryption context, whose value is the namespace of the fleet.
const CONTEXT: &str = "valetkey:namespace";

/// A key ring that is decrypted when the gateway starts.
pub(super) struct EncryptedRing {
    ciphertext: Vec<u8>,
    key_arn: String,
    namespace: String,
}

impl EncryptedRing {
    /// Reads a document in base64, as the AWS CLI prints it.
    ///
    /// # Errors
    /// Describes what is wrong with the document.
    pub(super) fn parse(
        document: &SecretString,
        key_arn: &str,
        namespace: &str,
    ) -> Result<Self, &'static str> {
        let ciphertext = BASE64_STANDARD
            .decode(document.expose_secret())
            .map_err(|_echo| "names a document that is not base64, as `aws kms encrypt` prints it")?;
        Ok(Self { ciphertext, key_arn: key_arn.to_owned(), namespace: namespace.to_owned() })
    }

    /// Decrypts the ring with the AWS identity of this machine.
    ///
    /// # Errors
    /// Those of [`KmsDecryptor`] and of the document of the ring.
    pub(super) async fn decrypt(self, base: &AwsClientConfig) -> Result<KeyRing, Error> {
        let identity = DefaultChainProvider::new().client_config(base);
        let decryptor = KmsDecryptor::new(&self.key_arn, identity, base)?;
        KeyRing::parse(&decryptor.decrypt(&self.ciphertext, &[(CONTEXT, &self.namespace)]).await?)
    }
}
