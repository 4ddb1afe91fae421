//! `DefaultChainProvider`: the default chain of the AWS SDK, as the identity of the host.

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, Region, Result};

use crate::AwsClientConfig;
use crate::sdk_chain::SdkChain;

/// Fetches the credentials of this host with the default chain of the AWS SDK: environment variables, the shared files
/// with the profile in `AWS_PROFILE`, web identity, container credentials, and the instance metadata service.
///
/// These credentials are the host's own identity. Give them to a session only if it may act as the host.
///
/// At each fetch, the environment and the shared files are read again, so that a changed profile and a new sign-in
/// apply at once. The SDK's own caches of credentials are not used. On a host without an instance metadata service, a
/// chain without credentials may take seconds to find out.
///
/// # Retries
///
/// A fetch that fails for a transient reason is repeated as a whole, as often as the retry settings of the
/// [client configuration](Self::client_config) allow. The SDK's own retries are off, because their quota is shared by
/// all tenants of a process. Each provider, and each clone of one, has a retry quota of its own. Each attempt also
/// repeats the steps before the request that failed, such as a `credential_process` program.
///
/// # Programs
///
/// The SDK runs the programs of `credential_process` in a shell, with the environment of this process. It does not stop
/// them when a fetch is cancelled, and logs the standard error of a failing one at WARN level.
#[cfg_attr(feature = "process", doc = "[`ProcessProvider`](crate::ProcessProvider) is stricter.")]
#[cfg_attr(not(feature = "process"), doc = "`ProcessProvider` (feature `process`) is stricter.")]
///
/// # Examples
///
/// ```
/// use valetkey_backends::DefaultChainProvider;
/// use valetkey_core::SessionContext;
///
/// # fn main() -> valetkey_core::Result<()> {
/// let provider = DefaultChainProvider::new().region("eu-central-1".parse()?);
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DefaultChainProvider(SdkChain);

impl DefaultChainProvider {
    /// Creates a provider. Reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(SdkChain::default_chain())
    }

    /// Sets the region of the credentials and of the calls to STS (default: the region of the environment, or else of
    /// the client configuration, which becomes the
    /// [`environment_region`](valetkey_core::Credentials::environment_region) of the credentials).
    #[must_use]
    pub fn region(mut self, region: Region) -> Self {
        self.0.set_region(region);
        self
    }

    /// Sets the client configuration, which providers share (default: [`AwsClientConfig::new`]).
    #[must_use]
    pub fn client_config(mut self, config: &AwsClientConfig) -> Self {
        self.0.set_client_config(config);
        self
    }

    /// Checks in the caches of the AWS CLI, without calling AWS, that the sign-in of the active profile has not ended.
    ///
    /// Succeeds if the chain needs no sign-in, and if the SDK can renew the sign-in without a person. A sign-in that
    /// ended at AWS alone is not detected.
    ///
    /// # Errors
    /// `InteractionRequired`, with the field `profile` and the command that renews the sign-in as the next step.
    pub async fn check_sign_in(&self) -> Result<()> {
        self.0.check_sign_in().await
    }
}

impl Default for DefaultChainProvider {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl CredentialProvider for DefaultChainProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.0.name())
    }

    /// # Errors
    /// - `NotConfigured`: the chain finds no credentials.
    /// - `InteractionRequired`, with the command to run: the sign-in of the active profile (`aws sso login`,
    ///   `aws login`) has ended or never happened.
    /// - Otherwise as [`SdkProvider`](crate::SdkProvider).
    async fn provide(&self) -> Result<Credentials> {
        self.0.provide().await
    }
}
