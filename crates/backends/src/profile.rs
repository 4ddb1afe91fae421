//! `ProfileProvider`: one profile of the shared files of the AWS CLI and SDKs.

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{CredentialProvider, Credentials, Region, Result};

use crate::AwsClientConfig;
use crate::sdk_chain::SdkChain;

/// Fetches the credentials of one profile of the shared files, in each form that the SDK supports: keys, a role, single
/// sign-on, `aws login`, web identity, or a program.
///
/// No other source is used if the profile has no credentials. In all other respects it works like
/// [`DefaultChainProvider`](crate::DefaultChainProvider): the files are read at each fetch, and each provider has a retry
/// quota of its own.
///
/// # Examples
///
/// ```no_run
/// use valetkey_backends::ProfileProvider;
/// use valetkey_core::SessionContext;
///
/// # async fn example() -> valetkey_core::Result<()> {
/// let provider = ProfileProvider::new("staging");
/// provider.check_sign_in().await?; // Fails with the command to run if the sign-in has ended.
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ProfileProvider(SdkChain);

impl ProfileProvider {
    /// Creates a provider of the profile with this name. Reads nothing yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(SdkChain::profile(name.into()))
    }

    /// Sets the region of the credentials and of the calls to STS (default: the region of the profile; without one, the
    /// region of the client configuration becomes the
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

    /// Checks in the caches of the AWS CLI, without calling AWS, that the sign-in of the profile has not ended.
    ///
    /// Succeeds if the profile needs no sign-in, and if the SDK can renew the sign-in without a person. A sign-in that
    /// ended at AWS alone is not detected.
    ///
    /// # Errors
    /// `InteractionRequired`, with the field `profile` and the command that renews the sign-in as the next step.
    pub async fn check_sign_in(&self) -> Result<()> {
        self.0.check_sign_in().await
    }
}

#[async_trait]
impl CredentialProvider for ProfileProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.0.name())
    }

    /// # Errors
    /// - `Invalid`, with the field `profile`: the profile is not defined, has no credentials, or is malformed.
    /// - `InteractionRequired`, with the command to run: the sign-in of the profile (`aws sso login`, `aws login`) has
    ///   ended or never happened.
    /// - Otherwise as [`SdkProvider`](crate::SdkProvider).
    async fn provide(&self) -> Result<Credentials> {
        self.0.provide().await
    }
}
