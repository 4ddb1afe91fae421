//! `SecretProvider`: supplies a secret that a provider needs at each fetch, such as an identity token.

use async_trait::async_trait;
use valetkey_core::{Result, SecretString};

/// Supplies a secret whenever a provider needs it: an identity token, or the code of an MFA device.
///
/// The rules of a [`CredentialProvider`](valetkey_core::CredentialProvider) apply: it fetches the secret at each call
/// and caches nothing, its futures may be dropped at any await, and its errors contain no secret.
///
/// # Examples
///
/// A closure that returns a future is a `SecretProvider`:
///
/// ```
/// # use valetkey_backends::SecretProvider;
/// # use valetkey_core::SecretString;
/// fn accept(_: impl SecretProvider) {}
/// accept(|| async { Ok(SecretString::from("a token of the identity provider")) });
/// ```
#[async_trait]
pub trait SecretProvider: Send + Sync {
    /// Fetches the present secret.
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
