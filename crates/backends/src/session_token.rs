//! `SessionTokenProvider`: temporary credentials of the same IAM user, from `GetSessionToken`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use valetkey_core::{
    Attribution, CredentialProvider, Credentials, Error, ExposeSecret, IntoProvider, Region, Result,
    SessionPolicy,
};

use crate::federation_token::GetFederationTokenRequest;
use crate::key_exchange::{
    ExchangeBuilder, ExchangeProvider, ExchangeRequest, ExchangeResponse, NAME, Passthrough, StsKeyExchange,
};
use crate::sts::mfa::{self, MfaDevice};
use crate::sts::request::SessionPolicies;
use crate::{AwsClientConfig, SecretProvider, error};

const OPERATION: &str = "GetSessionToken";

/// Exchanges the long-lived keys of an IAM user for temporary credentials of the same user, at each fetch
/// (`GetSessionToken`).
///
/// The credentials have the authority of the user, with two exceptions: they cannot call IAM without MFA, and of STS
/// only `AssumeRole` and `GetCallerIdentity`. Errors and status call the provider `federation`.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use valetkey_backends::{AwsClientConfig, EnvProvider, SessionTokenProvider};
/// use valetkey_core::SessionContext;
///
/// # fn main() -> valetkey_core::Result<()> {
/// let client_config = AwsClientConfig::new().region(&"eu-central-1".parse()?);
/// let provider = SessionTokenProvider::builder(EnvProvider::from_process())
///     .session_duration(Duration::from_secs(3_600))
///     .client_config(&client_config)
///     .build()?;
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
///
/// [`SessionTokenBuilder::build_key_exchange`] protects an account instead, so that no long-lived key leaves it.
#[derive(Debug)]
pub struct SessionTokenProvider(ExchangeProvider);

impl SessionTokenProvider {
    /// Starts the description of an exchange of the keys of `source`.
    pub fn builder(source: impl IntoProvider) -> SessionTokenBuilder {
        let exchange = ExchangeBuilder::new(source.into_provider());
        SessionTokenBuilder { exchange, request: GetSessionTokenRequest::default() }
    }

    /// Returns how much of the packed size limit of STS the last session used, in percent; `None` until STS has
    /// reported a value. STS refuses requests above 100.
    #[must_use]
    pub fn utilization(&self) -> Option<u32> {
        self.0.utilization()
    }
}

#[async_trait]
impl CredentialProvider for SessionTokenProvider {
    fn name(&self) -> Cow<'static, str> {
        self.0.name()
    }

    /// Fetches the keys of the source, and exchanges them.
    ///
    /// # Errors
    /// - Errors of the source keep their kind and name the source. A source that is not configured is `Invalid`, with
    ///   the field `source`.
    /// - `Invalid`: the source has temporary credentials (field `source`), or STS finds the request malformed or is
    ///   disabled in its region.
    /// - `InteractionRequired`, with the field `mfa_code`: an MFA code is needed and was not supplied, or was refused.
    /// - `Denied`: STS refuses the request.
    /// - `Throttled`, `TimedOut`, `Unavailable`: STS cannot respond now.
    async fn provide(&self) -> Result<Credentials> {
        self.0.provide().await
    }

    /// Clears the cache of the source. This provider caches nothing.
    fn clear_cache(&self) {
        self.0.clear_cache();
    }

    /// Returns a provider of a federated user with `policy`, because `GetSessionToken` takes no policy. The name of
    /// the user is the id of the attributed session without hyphens, or `valetkey`.
    ///
    /// # Errors
    /// `Invalid` for an exchange with MFA: a federated user has no MFA.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        self.0.scope_down(policy)
    }
}

/// Describes a [`SessionTokenProvider`].
///
/// # Examples
///
/// Require a code of an MFA device, for a whole working day:
///
/// ```
/// # use std::sync::Arc;
/// use std::time::Duration;
///
/// use valetkey_backends::SessionTokenProvider;
/// # use valetkey_backends::AwsClientConfig;
/// # use valetkey_core::{CredentialProvider, Result, SecretString};
/// # async fn prompt() -> Result<SecretString> { Ok(SecretString::from("123456")) }
/// # fn example(keys: Arc<dyn CredentialProvider>, client_config: &AwsClientConfig) -> Result<SessionTokenProvider> {
///
/// SessionTokenProvider::builder(keys)
///     .mfa("arn:aws:iam::111111111111:mfa/alice", || async { prompt().await })
///     .session_duration(Duration::from_secs(10 * 3_600))
///     .client_config(client_config)
///     .build()
/// # }
/// ```
#[must_use]
pub struct SessionTokenBuilder {
    exchange: ExchangeBuilder,
    request: GetSessionTokenRequest,
}

impl SessionTokenBuilder {
    /// Sets how long the credentials work: whole seconds, 15 minutes to 36 hours, and at most 1 hour for the keys of
    /// the root user (default: the 12 hours of STS).
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.exchange.set_session_duration(duration);
        self
    }

    /// Requires the MFA device with this serial number (9–256 characters: an ARN, or the text on the device). `code`
    /// supplies its six digits at each fetch.
    ///
    /// Each fetch may prompt a person, so choose a long [session duration](Self::session_duration), and a load timeout
    /// of the session that a person can meet. If `code` fails for any reason, the fetch is `InteractionRequired`: the
    /// session serves its present credentials until they expire, and does not prompt again by itself. A request with a
    /// code is not retried, because a code works once.
    pub fn mfa(mut self, serial: impl Into<String>, code: impl SecretProvider + 'static) -> Self {
        self.request.mfa = Some(MfaDevice { serial: serial.into(), code: Arc::new(code) });
        self
    }

    /// Returns temporary credentials of the source unchanged (default: they are an error). Use it for a source that
    /// may have either kind, such as an account of a session. Long-lived keys are exchanged in any case.
    pub fn allow_temporary(mut self) -> Self {
        self.exchange.set_passthrough(Passthrough::Temporary);
        self
    }

    /// Attributes narrowed credentials to a session. `GetSessionToken` takes neither a name nor tags, so credentials
    /// that are not narrowed identify only the user.
    ///
    /// The policies of the keys must allow `sts:TagSession`, or [`without_attribution_tags`] must be set.
    ///
    /// [`without_attribution_tags`]: Self::without_attribution_tags
    pub fn attribution(mut self, attribution: &Attribution) -> Self {
        self.exchange.attribution.attribution = Some(attribution.clone());
        self
    }

    /// Sends no session tags for the [attribution](Self::attribution) (default: its [tags](Attribution::tags)).
    pub fn without_attribution_tags(mut self) -> Self {
        self.exchange.attribution.tags_disabled = true;
        self
    }

    /// Sets the region of STS, which also becomes the region of the credentials (default: STS in the region of the
    /// client configuration, and the region of the source's credentials).
    pub fn region(mut self, region: Region) -> Self {
        self.exchange.endpoint.region = Some(region);
        self
    }

    /// Sets the URL of STS (default: the endpoint of the client configuration).
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.exchange.endpoint.endpoint_url = Some(url.into());
        self
    }

    /// Sets the client configuration, which providers share (default: [`AwsClientConfig::new`]).
    pub fn client_config(mut self, config: &AwsClientConfig) -> Self {
        self.exchange.endpoint.client_config = Some(config.clone());
        self
    }

    /// Checks the description and returns the provider. Calls nothing yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field outside its limits, and the limits.
    pub fn build(self) -> Result<SessionTokenProvider> {
        self.build_exchange().map(SessionTokenProvider).map_err(|error| error.with_provider(NAME))
    }

    /// Checks the description and returns the exchange for the keys of an account. Register it with
    /// [`SessionBuilder::exchange_static_keys`](valetkey_core::SessionBuilder::exchange_static_keys).
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_key_exchange(mut self) -> Result<StsKeyExchange> {
        self.exchange.set_passthrough(Passthrough::GuardedAccount);
        self.build_exchange().map(StsKeyExchange::new).map_err(|error| error.with_provider(NAME))
    }

    fn build_exchange(mut self) -> Result<ExchangeProvider> {
        self.request.duration = self.exchange.checked_seconds()?;
        self.request.mfa.as_ref().map_or(Ok(()), MfaDevice::check)?;
        let attribution = &self.exchange.attribution;
        self.request.scoped_down.name = attribution.user_name();
        attribution.tag(&mut self.request.scoped_down.tags)?;
        self.exchange.build(ExchangeRequest::SessionToken(self.request))
    }
}

impl fmt::Debug for SessionTokenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTokenBuilder")
            .field("request", &self.request)
            .field("source", self.exchange.source())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Default)]
pub(crate) struct GetSessionTokenRequest {
    duration: Option<i32>,
    mfa: Option<MfaDevice>,
    /// The request to send in its place when it is narrowed, without its policy and duration.
    scoped_down: GetFederationTokenRequest,
}

impl GetSessionTokenRequest {
    pub(crate) fn scope_down(&self, policy: &SessionPolicy) -> Result<GetFederationTokenRequest> {
        if self.mfa.is_some() {
            return Err(mfa_scope_down_unsupported());
        }
        let policies = SessionPolicies { inline: Some(policy.clone().into()), arns: Vec::new() };
        Ok(GetFederationTokenRequest { duration: self.duration, policies, ..self.scoped_down.clone() })
    }

    pub(crate) async fn send(&self, sts: aws_sdk_sts::Client) -> Result<ExchangeResponse> {
        let call = sts.get_session_token().set_duration_seconds(self.duration);
        let output = match &self.mfa {
            None => call.send().await.map_err(|sdk_error| error::from_sdk_error(OPERATION, &sdk_error)),
            Some(device) => {
                let code = device.current_code().await?;
                let call = call.serial_number(&device.serial).token_code(code.expose_secret());
                let result = call.customize().config_override(mfa::without_retries()).send().await;
                result.map_err(|sdk_error| mfa::map_error(OPERATION, &sdk_error))
            }
        }?;
        Ok(ExchangeResponse {
            operation: OPERATION,
            keys: output.credentials,
            account: None,
            utilization: output.session_token_utilization,
        })
    }
}

impl fmt::Debug for GetSessionTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetSessionTokenRequest")
            .field("duration", &self.duration)
            .field("mfa", &self.mfa)
            .finish_non_exhaustive()
    }
}

/// A federated user has no MFA, so permissions that depend on it would be lost silently.
fn mfa_scope_down_unsupported() -> Error {
    Error::invalid("policy", "cannot be put on an exchange with MFA")
        .with_next_step("assume a role with the exchanged credentials, and narrow the role")
}
