//! The exchange of long-lived keys for temporary credentials, shared by [`SessionTokenProvider`] and
//! [`FederationTokenProvider`], and [`StsKeyExchange`], which applies it to the keys that are set on an account.
//!
//! [`SessionTokenProvider`]: crate::SessionTokenProvider
//! [`FederationTokenProvider`]: crate::FederationTokenProvider

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sts::types::Credentials as Keys;
use valetkey_core::{
    AccountId, CredentialProvider, Credentials, Error, KeyExchange, Region, Result, SessionPolicy,
};

use crate::client_config::EndpointConfig;
use crate::federation_token::GetFederationTokenRequest;
use crate::session_token::GetSessionTokenRequest;
use crate::sts::Sts;
use crate::sts::request::{RequestAttribution, USER_DURATION};
use crate::sts::{Utilization, credentials_from_response};
use crate::validity;

pub(crate) const NAME: &str = "federation";

/// The request to STS.
#[derive(Clone, Debug)]
pub(crate) enum ExchangeRequest {
    SessionToken(GetSessionTokenRequest),
    FederationToken(GetFederationTokenRequest),
}

impl ExchangeRequest {
    /// Returns a request for no more than `policy` allows. It is always for a federated user, because
    /// `GetSessionToken` takes no policy.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Self> {
        match self {
            Self::SessionToken(request) => request.scope_down(policy),
            Self::FederationToken(request) => request.scope_down(policy),
        }
        .map(Self::FederationToken)
    }

    async fn send(&self, sts: aws_sdk_sts::Client) -> Result<ExchangeResponse> {
        match self {
            Self::SessionToken(request) => request.send(sts).await,
            Self::FederationToken(request) => request.send(sts).await,
        }
    }
}

/// The parts of the response that both operations have.
pub(crate) struct ExchangeResponse {
    pub(crate) operation: &'static str,
    pub(crate) keys: Option<Keys>,
    pub(crate) account: Option<AccountId>,
    pub(crate) utilization: Option<i32>,
}

/// Which credentials of the source are returned without an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passthrough {
    Nothing,
    /// Temporary credentials.
    Temporary,
    /// Temporary credentials; and a source without credentials is not an error, because the source and this provider
    /// stand for the same account.
    GuardedAccount,
}

/// The settings that both builders have.
pub(crate) struct ExchangeBuilder {
    source: Arc<dyn CredentialProvider>,
    session_duration: Option<Duration>,
    passthrough: Passthrough,
    pub(crate) attribution: RequestAttribution,
    pub(crate) endpoint: EndpointConfig,
}

impl ExchangeBuilder {
    pub(crate) fn new(source: Arc<dyn CredentialProvider>) -> Self {
        Self {
            source,
            session_duration: None,
            passthrough: Passthrough::Nothing,
            attribution: RequestAttribution::default(),
            endpoint: EndpointConfig::default(),
        }
    }

    pub(crate) fn source(&self) -> &Arc<dyn CredentialProvider> {
        &self.source
    }

    pub(crate) fn set_session_duration(&mut self, duration: Duration) {
        self.session_duration = Some(duration);
    }

    pub(crate) fn set_passthrough(&mut self, passthrough: Passthrough) {
        self.passthrough = passthrough;
    }

    pub(crate) fn checked_seconds(&self) -> Result<Option<i32>> {
        self.session_duration.map(|duration| USER_DURATION.checked_seconds(duration)).transpose()
    }

    pub(crate) fn build(self, request: ExchangeRequest) -> Result<ExchangeProvider> {
        let config =
            ExchangeConfig { request, passthrough: self.passthrough, region: self.endpoint.region.clone() };
        Ok(ExchangeProvider::new(Sts::new(self.endpoint)?, self.source, config))
    }
}

#[derive(Clone, Debug)]
struct ExchangeConfig {
    request: ExchangeRequest,
    passthrough: Passthrough,
    region: Option<Region>,
}

/// Exchanges the keys of a source at each fetch.
#[derive(Debug)]
pub(crate) struct ExchangeProvider {
    sts: Sts,
    source: Arc<dyn CredentialProvider>,
    config: ExchangeConfig,
    utilization: Utilization,
}

impl ExchangeProvider {
    fn new(sts: Sts, source: Arc<dyn CredentialProvider>, config: ExchangeConfig) -> Self {
        Self { sts, source, config, utilization: Utilization::default() }
    }

    pub(crate) fn utilization(&self) -> Option<u32> {
        self.utilization.percent()
    }

    async fn exchange(&self) -> Result<Credentials> {
        let source = match self.config.passthrough {
            Passthrough::GuardedAccount => self.source.credentials().await,
            Passthrough::Nothing | Passthrough::Temporary => {
                validity::source_credentials(&*self.source).await
            }
        }?;
        match (validity::is_temporary(&source), self.config.passthrough) {
            (true, Passthrough::Nothing) => Err(temporary_source()),
            (true, _) => Ok(source),
            (false, _) => {
                let response = self.config.request.send(self.sts.client_for(&source)).await?;
                self.parse_response(response, &source)
            }
        }
    }

    fn parse_response(&self, response: ExchangeResponse, source: &Credentials) -> Result<Credentials> {
        self.utilization.record(response.utilization);
        let region = self.config.region.as_ref().or(source.region());
        let environment_region = source.environment_region().cloned().or_else(|| self.sts.region());
        let account = response.account.as_ref().or(source.account_id());
        credentials_from_response(response.operation, response.keys, |credentials| {
            credentials
                .account_id(account.cloned())
                .region(region.cloned())
                .environment_region(environment_region)
                .provider(NAME)
        })
    }

    /// Returns the same exchange with `keys` as its source; `None` if they are temporary.
    fn for_static_keys(&self, keys: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        if validity::is_temporary(keys) {
            return None;
        }
        let source = Arc::new(StaticKeys(keys.clone()));
        Some(Arc::new(Self::new(self.sts.with_own_retry_quota(), source, self.config.clone())))
    }
}

#[async_trait]
impl CredentialProvider for ExchangeProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    async fn provide(&self) -> Result<Credentials> {
        self.exchange().await.map_err(|error| error.with_provider(NAME))
    }

    /// This provider caches nothing; its source may.
    fn clear_cache(&self) {
        self.source.clear_cache();
    }

    /// A guarded account whose source can be narrowed itself narrows the source. Temporary credentials do not pass
    /// through a narrowed exchange, because they would not be narrowed.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        if self.config.passthrough == Passthrough::GuardedAccount
            && let Ok(narrowed) = self.source.scope_down(policy)
        {
            return Ok(narrowed);
        }
        let request = self.config.request.scope_down(policy).map_err(|error| error.with_provider(NAME))?;
        let config =
            ExchangeConfig { request, passthrough: Passthrough::Nothing, region: self.config.region.clone() };
        Ok(Arc::new(Self::new(self.sts.with_own_retry_quota(), Arc::clone(&self.source), config)))
    }
}

/// Long-lived keys that were set on a guarded account, as the source of an exchange.
#[derive(Debug)]
struct StaticKeys(Credentials);

#[async_trait]
impl CredentialProvider for StaticKeys {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("given")
    }

    async fn provide(&self) -> Result<Credentials> {
        Ok(self.0.clone())
    }
}

/// Exchanges every long-lived key of an account for temporary credentials, whether the account's own provider or a
/// caller supplies the key. Long-lived keys never leave the account.
///
/// Keys that are set on the account are kept here and exchanged again whenever the temporary credentials expire.
/// Temporary credentials are served unchanged. An account whose source has no credentials is `NotConfigured`, not
/// broken.
///
/// Made by [`SessionTokenBuilder::build_key_exchange`](crate::SessionTokenBuilder::build_key_exchange) and
/// [`FederationTokenBuilder::build_key_exchange`](crate::FederationTokenBuilder::build_key_exchange).
///
/// # Examples
///
/// ```
/// # use valetkey_backends::{AwsClientConfig, MemoryProvider, SessionTokenProvider};
/// # use valetkey_core::{Credentials, Result, SessionContext};
/// # fn example(client_config: &AwsClientConfig, keys: Credentials) -> Result<()> {
/// let exchange = SessionTokenProvider::builder(MemoryProvider::new())
///     .client_config(client_config)
///     .build_key_exchange()?;
/// let session = SessionContext::builder().exchange_static_keys(exchange).build();
/// session.set_credentials(keys)?; // The session serves temporary credentials in exchange for these keys.
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct StsKeyExchange(Arc<ExchangeProvider>);

impl StsKeyExchange {
    /// `provider` must have [`Passthrough::GuardedAccount`].
    pub(crate) fn new(provider: ExchangeProvider) -> Self {
        Self(Arc::new(provider))
    }
}

impl KeyExchange for StsKeyExchange {
    fn provider(&self) -> Arc<dyn CredentialProvider> {
        Arc::clone(&self.0) as _
    }

    /// Returns `None` for temporary credentials.
    fn exchange_for(&self, keys: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        self.0.for_static_keys(keys)
    }
}

fn temporary_source() -> Error {
    Error::invalid("source", "has temporary credentials, which STS does not exchange").with_next_step(
        "give it the long-lived keys of an IAM user, use the temporary credentials as they are, or assume a role \
         with them",
    )
}
