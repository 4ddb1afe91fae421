//! The AWS SDK's own chain, or one profile of its files, called anew at every fetch.

mod requests;
mod retries;
mod sign_in;
mod source;

use std::borrow::Cow;

use async_trait::async_trait;
use valetkey_core::{Clock, CredentialProvider, Credentials, Error, ErrorKind, Region, Result, SystemClock};

use crate::client_config::{from_sdk_region, to_sdk_region};
use crate::sdk::error_of;
use crate::{AwsClientConfig, SdkProvider};
use requests::Requests;
use retries::{Failure, Tokens, retried};
use sign_in::SignIn;
use source::SourceKind;

const DEFAULT_CHAIN: &str = "ambient";
const PROFILE: &str = "profile";

/// Whatever the AWS SDK finds on this machine: the host's own identity. A session gets it only from a host that hands
/// it in, and each constructor says what it reaches for.
///
/// At every fetch the environment and the shared files are read anew, so that a changed profile and a new sign-in
/// count at once; nothing of the SDK's own caching of credentials is between it and the session. Constructors read
/// nothing.
///
/// A fetch that fails for a reason that may pass is repeated as a whole, as often as the retries of the base say. The
/// SDK's own retries are off: it shares their quota among all tenants of the process. Each provider, and each clone of
/// one, has a retry quota of its own. Each attempt also repeats what comes before the request that failed: the program,
/// or the role, that a further role is assumed with.
///
/// The programs of `credential_process` settings run as the SDK runs them: by a shell, in the environment of
/// this process, without being stopped when nobody waits any more, and with what a failing one said on its standard
/// error in the SDK's WARN log;
#[cfg_attr(feature = "process", doc = "[`ProcessProvider`](crate::ProcessProvider) is stricter.")]
#[cfg_attr(not(feature = "process"), doc = "`ProcessProvider` (feature `process`) is stricter.")]
#[derive(Debug, Clone)]
pub struct AmbientProvider {
    source_kind: SourceKind,
    region: Option<Region>,
    client_config: AwsClientConfig,
    tokens: Tokens,
}

impl AmbientProvider {
    /// The SDK's default chain: environment variables, the shared files with the profile that `AWS_PROFILE` names, web
    /// identity, container credentials, and last the instance metadata service, which may take seconds to be found
    /// absent.
    #[must_use]
    pub fn default_chain() -> Self {
        Self::new(SourceKind::DefaultChain)
    }

    /// One profile of the shared files, by name, in each of the forms that the SDK knows: keys, a role, single sign-on,
    /// `aws login`, web identity, a program. Nothing else is asked if it has none.
    #[must_use]
    pub fn profile(name: impl Into<String>) -> Self {
        Self::new(SourceKind::Profile(name.into()))
    }

    fn new(source_kind: SourceKind) -> Self {
        Self { source_kind, region: None, client_config: AwsClientConfig::new(), tokens: Tokens::full() }
    }

    /// The region that is used for roles and the like, and that the credentials name. Without it a profile's own counts.
    /// The region of the environment, or else of the base, becomes their
    /// [`environment_region`](valetkey_core::Credentials::environment_region).
    #[must_use]
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Sets the client configuration that this provider shares with others (default: [`AwsClientConfig::new`]).
    #[must_use]
    pub fn base(mut self, base: &AwsClientConfig) -> Self {
        self.client_config = base.clone();
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
        match SignIn::for_source(&self.source_kind).await {
            Some(sign_in) if sign_in.has_ended(SystemClock.now()).await => {
                Err(sign_in_required(&sign_in).with_provider(self.name()))
            }
            _ => Ok(()),
        }
    }

    async fn fetch(&self) -> Result<Credentials> {
        let region = match &self.region {
            Some(region) => Some(to_sdk_region(region)),
            None => self.source_kind.region().await,
        };
        let requests = Requests::default();
        let attempt = || self.source_kind.fetch(&self.client_config, region.clone(), &requests);
        let found = match retried(self.client_config.config(), &self.tokens, &requests, attempt).await {
            Ok(keys) => SdkProvider::new(self.name(), keys).provide().await?,
            Err(failure) => return Err(self.to_error(&failure).await),
        };
        Ok(match region.as_ref().and_then(from_sdk_region) {
            Some(region) if self.has_own_region() => found.with_region(region),
            region => {
                let region = region.or_else(|| from_sdk_region(self.client_config.config().region()?));
                region.into_iter().fold(found, |found, region| found.with_environment_region(region))
            }
        })
    }

    /// Whether a region that is found belongs to the credentials, and not to the environment of this process.
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

#[async_trait]
impl CredentialProvider for AmbientProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.source_kind {
            SourceKind::DefaultChain => DEFAULT_CHAIN,
            SourceKind::Profile(_) => PROFILE,
        })
    }

    /// # Errors
    /// `NotConfigured` when the default chain finds nothing; for a profile that is not defined or has no credentials
    /// `Invalid`, with the field `profile`, since it was asked for by name. `InteractionRequired`, with the command to run,
    /// for a profile whose sign-in (`aws sso login`, `aws login`) ended or was never made. Otherwise as
    /// [`SdkProvider`](crate::SdkProvider).
    async fn provide(&self) -> Result<Credentials> {
        self.fetch().await.map_err(|failed| map_error(failed, &self.source_kind).with_provider(self.name()))
    }
}

fn map_error(error: Error, choice: &SourceKind) -> Error {
    match (choice, error.kind()) {
        // Somebody named it: a chain must not fall through to somebody else's credentials.
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

/// A failure that may pass, of which the SDK says no more.
fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "the AWS SDK's provider failed").with_next_step("try again later")
}
