//! `DefaultChainProvider` and `ProfileProvider`: the default chain of the AWS SDK and one profile of its files. Both run
//! the SDK's providers anew at each fetch.

mod requests;
mod retries;
mod sign_in;
mod source;

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{Clock, CredentialProvider, Credentials, Error, ErrorKind, Region, Result, SystemClock};

use self::requests::Requests;
use self::retries::{Failure, Tokens, retried};
use self::sign_in::SignIn;
use self::source::SourceKind;
use crate::client_config::{from_sdk_region, to_sdk_region};
use crate::sdk::error_of;
use crate::{AwsClientConfig, SdkProvider};

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

/// A source of the SDK, and the settings of its fetches.
///
/// Each fetch creates the SDK's providers anew, because they keep the files that they have read. A clone has a retry quota
/// of its own.
#[derive(Debug, Clone)]
struct SdkChain {
    source_kind: SourceKind,
    region: Option<Region>,
    client_config: AwsClientConfig,
    tokens: Tokens,
}

impl SdkChain {
    fn default_chain() -> Self {
        Self::new(SourceKind::DefaultChain)
    }

    fn profile(name: String) -> Self {
        Self::new(SourceKind::Profile(name))
    }

    fn new(source_kind: SourceKind) -> Self {
        Self { source_kind, region: None, client_config: AwsClientConfig::new(), tokens: Tokens::full() }
    }

    fn set_region(&mut self, region: Region) {
        self.region = Some(region);
    }

    fn set_client_config(&mut self, config: &AwsClientConfig) {
        self.client_config = config.clone();
    }

    /// Returns the name for errors, status and logs.
    fn name(&self) -> &'static str {
        match self.source_kind {
            SourceKind::DefaultChain => "default-chain",
            SourceKind::Profile(_) => "profile",
        }
    }

    /// Checks the cached sign-in of the AWS CLI that the credentials depend on, if they depend on one.
    async fn check_sign_in(&self) -> Result<()> {
        match SignIn::for_source(&self.source_kind).await {
            Some(sign_in) if sign_in.has_ended(SystemClock.now()).await => {
                Err(sign_in_required(&sign_in).with_provider(self.name()))
            }
            _ => Ok(()),
        }
    }

    /// Fetches credentials, and maps errors to the kinds of this crate.
    async fn provide(&self) -> Result<Credentials> {
        self.fetch().await.map_err(|error| map_error(error, &self.source_kind).with_provider(self.name()))
    }

    /// Fetches credentials with retries, and adds the region of the settings.
    async fn fetch(&self) -> Result<Credentials> {
        let region = match &self.region {
            Some(region) => Some(to_sdk_region(region)),
            None => self.source_kind.region().await,
        };
        let requests = Requests::default();
        let attempt = || self.source_kind.fetch(&self.client_config, region.clone(), &requests);
        let credentials = match retried(self.client_config.config(), &self.tokens, &requests, attempt).await {
            Ok(keys) => SdkProvider::new(self.name(), keys).provide().await?,
            Err(failure) => return Err(self.to_error(&failure).await),
        };
        Ok(match region.as_ref().and_then(from_sdk_region) {
            Some(region) if self.has_own_region() => credentials.with_region(region),
            region => {
                let region = region.or_else(|| from_sdk_region(self.client_config.config().region()?));
                region
                    .into_iter()
                    .fold(credentials, |credentials, region| credentials.with_environment_region(region))
            }
        })
    }

    /// Returns whether the region belongs to the credentials, and not to the environment of this process.
    fn has_own_region(&self) -> bool {
        self.region.is_some() || matches!(self.source_kind, SourceKind::Profile(_))
    }

    /// Converts a failure of the SDK's provider. A sign-in that ended differs from an outage, because only a person can
    /// renew it and the SDK names no command. An outage can hide such an end: the SDK also sends tokens that have expired.
    async fn to_error(&self, failure: &Failure) -> Error {
        let error = error_of(&failure.error);
        let is_unexplained = match error.kind() {
            // The SDK reports an endpoint of containers that it cannot reach as unexpected.
            ErrorKind::Internal if failure.is_transient => return unavailable(),
            ErrorKind::Unavailable => true,
            ErrorKind::Throttled | ErrorKind::TimedOut => false,
            _ => return error,
        };
        match SignIn::for_source(&self.source_kind).await {
            Some(sign_in)
                if is_unexplained && !failure.is_transient || sign_in.has_ended(SystemClock.now()).await =>
            {
                sign_in_required(&sign_in)
            }
            _ => error,
        }
    }
}

/// Adds the field and the next step that fit the source.
fn map_error(error: Error, source_kind: &SourceKind) -> Error {
    match (source_kind, error.kind()) {
        // The profile was named, so a chain must not fall through to the credentials of another identity.
        (SourceKind::Profile(_), ErrorKind::NotConfigured) => {
            Error::invalid("profile", "is not defined, or names no credentials").with_next_step(
                "check its name, and the files that `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name",
            )
        }
        (SourceKind::Profile(_), ErrorKind::Invalid) if error.field().is_none() => {
            error.with_field("profile")
        }
        (SourceKind::DefaultChain, ErrorKind::NotConfigured) => {
            error.with_next_step("configure the AWS SDK on this machine, or use another provider")
        }
        _ => error,
    }
}

/// Not transient: trying again does not help. Credentials that still work are served until they expire.
fn sign_in_required(sign_in: &SignIn) -> Error {
    Error::new(ErrorKind::InteractionRequired, "the sign-in of the profile ended, or was never made")
        .with_field("profile")
        .with_next_step(format!("run `{}`, then refresh the account", sign_in.renewing_command()))
}

/// A transient failure that the SDK does not explain.
fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "the AWS SDK's provider failed").with_next_step("try again later")
}
