//! The engine of `DefaultChainProvider` and `ProfileProvider`: runs the SDK's providers anew at each fetch.

mod requests;
mod retries;
mod sign_in;
mod source;

use valetkey_core::{Clock, CredentialProvider, Credentials, Error, ErrorKind, Region, Result, SystemClock};

use self::requests::Requests;
use self::retries::{Failure, Tokens, retried};
use self::sign_in::SignIn;
use self::source::SourceKind;
use crate::client_config::{from_sdk_region, to_sdk_region};
use crate::sdk::error_of;
use crate::{AwsClientConfig, SdkProvider};

/// A source of the SDK, and the settings of its fetches.
///
/// Each fetch creates the SDK's providers anew, because they keep the files that they have read. A clone has a retry quota
/// of its own.
#[derive(Debug, Clone)]
pub(crate) struct SdkChain {
    source_kind: SourceKind,
    region: Option<Region>,
    client_config: AwsClientConfig,
    tokens: Tokens,
}

impl SdkChain {
    pub(crate) fn default_chain() -> Self {
        Self::new(SourceKind::DefaultChain)
    }

    pub(crate) fn profile(name: String) -> Self {
        Self::new(SourceKind::Profile(name))
    }

    fn new(source_kind: SourceKind) -> Self {
        Self { source_kind, region: None, client_config: AwsClientConfig::new(), tokens: Tokens::full() }
    }

    pub(crate) fn set_region(&mut self, region: Region) {
        self.region = Some(region);
    }

    pub(crate) fn set_client_config(&mut self, config: &AwsClientConfig) {
        self.client_config = config.clone();
    }

    /// Returns the name for errors, status and logs.
    pub(crate) fn name(&self) -> &'static str {
        match self.source_kind {
            SourceKind::DefaultChain => "default-chain",
            SourceKind::Profile(_) => "profile",
        }
    }

    /// Checks the cached sign-in of the AWS CLI that the credentials depend on, if they depend on one.
    pub(crate) async fn check_sign_in(&self) -> Result<()> {
        match SignIn::for_source(&self.source_kind).await {
            Some(sign_in) if sign_in.has_ended(SystemClock.now()).await => {
                Err(sign_in_required(&sign_in).with_provider(self.name()))
            }
            _ => Ok(()),
        }
    }

    /// Fetches credentials, and maps errors to the kinds of this crate.
    pub(crate) async fn provide(&self) -> Result<Credentials> {
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
