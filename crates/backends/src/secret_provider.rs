//! `SecretProvider`: what a provider must be told by others at each fetch, such as an identity token.

use async_trait::async_trait;
use valetkey_core::{Result, SecretString};

/// Asked for a secret whenever one is needed: an identity token, the code of an MFA device.
///
/// A closure that returns a future is one:
///
/// ```
/// # use valetkey_backends::SecretProvider;
/// # use valetkey_core::SecretString;
/// fn is_a_source(_: impl SecretProvider) {}
/// is_a_source(|| async { Ok(SecretString::from("from wherever it comes")) });
/// ```
///
/// It owes what a [`CredentialProvider`](valetkey_core::CredentialProvider) owes: it asks anew at each call, may be
/// dropped at any await, and puts no secret into its errors.
#[async_trait]
pub trait SecretProvider: Send + Sync {
    /// The secret to use now.
    async fn secret(&self) -> Result<SecretString>;
}

#[async_trait]
impl<F, Fut> SecretProvider for F
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<SecretString>> + Send,
{
    async fn secret(&self) -> Result<SecretString> {
        self().await
    }
}
