//! `FederationTokenProvider`: temporary credentials of a federated user, from `GetFederationToken`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use valetkey_core::{
    Attribution, CredentialProvider, Credentials, IntoProvider, Region, Result, SessionId, SessionPolicy,
};

use crate::key_exchange::{
    ExchangeBuilder, ExchangeProvider, ExchangeRequest, ExchangeResponse, NAME, Passthrough, StsKeyExchange,
};
use crate::sts::account_from_arn;
use crate::sts::request::{SessionPolicies, SessionTags, check_user_name};
use crate::{AwsClientConfig, error};

const OPERATION: &str = "GetFederationToken";

/// Exchanges the long-lived keys of an IAM user for temporary credentials of a federated user, at each fetch
/// (`GetFederationToken`).
///
/// The credentials allow what both the session policies and the policies of the IAM user allow. Without session
/// policies, they allow only what resource policies grant to the federated user by name. They cannot call IAM, and of
/// STS only `GetCallerIdentity`. Errors and status call the provider `federation`.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`.
///
/// # Examples
///
/// ```
/// use valetkey_backends::{AwsClientConfig, EnvProvider, FederationTokenProvider};
/// use valetkey_core::{SessionContext, SessionPolicy};
///
/// # fn main() -> valetkey_core::Result<()> {
/// let client_config = AwsClientConfig::new().region(&"eu-central-1".parse()?);
/// let provider = FederationTokenProvider::builder("report-agent", EnvProvider::from_process())
///     .policy(SessionPolicy::read_only(["s3"])?)
///     .tag("team", "reporting")
///     .client_config(&client_config)
///     .build()?;
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FederationTokenProvider(ExchangeProvider);

impl FederationTokenProvider {
    /// Starts the description of a federated user with this name (2–32 of `A-Z a-z 0-9 _ + = , . @ -`), for the keys of
    /// `source`.
    pub fn builder(name: impl Into<String>, source: impl IntoProvider) -> FederationTokenBuilder {
        let request = GetFederationTokenRequest { name: name.into(), ..GetFederationTokenRequest::default() };
        FederationTokenBuilder { exchange: ExchangeBuilder::new(source.into_provider()), request }
    }

    /// Starts the description of a federated user that stands for a session: its name is the session's id without
    /// hyphens, and its tags are those of `attribution`. `build` fails if `attribution` has no session id. See
    /// [`attribution`](FederationTokenBuilder::attribution).
    pub fn for_attribution(attribution: &Attribution, source: impl IntoProvider) -> FederationTokenBuilder {
        let name = attribution.session_id().map(SessionId::compact).unwrap_or_default();
        Self::builder(name, source).attribution(attribution)
    }

    /// Returns how much of the packed size limit of STS for policies and tags the last session used, in percent; `None`
    /// until STS has reported a value. STS refuses requests above 100.
    #[must_use]
    pub fn utilization(&self) -> Option<u32> {
        self.0.utilization()
    }
}

#[async_trait]
impl CredentialProvider for FederationTokenProvider {
    fn name(&self) -> Cow<'static, str> {
        self.0.name()
    }

    /// Fetches the keys of the source, and exchanges them.
    ///
    /// # Errors
    /// - Errors of the source keep their kind and name the source. A source that is not configured is `Invalid`, with
    ///   the field `source`.
    /// - `Invalid`: the source has temporary credentials (field `source`), or STS finds the request malformed or too
    ///   large, or is disabled in its region.
    /// - `Denied`: STS refuses the request.
    /// - `Throttled`, `TimedOut`, `Unavailable`: STS cannot respond now.
    async fn provide(&self) -> Result<Credentials> {
        self.0.provide().await
    }

    /// Clears the cache of the source. This provider caches nothing.
    fn clear_cache(&self) {
        self.0.clear_cache();
    }

    /// Returns a provider of the same user whose policy allows what its own inline policy, if it has one, and `policy`
    /// both allow.
    ///
    /// # Errors
    /// `Invalid` if the policies have nothing in common or cannot be compared, and for a provider with policy ARNs.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        self.0.scope_down(policy)
    }
}

/// Describes a [`FederationTokenProvider`].
///
/// # Examples
///
/// Exchange all keys of an account for those of a federated user that stands for the session:
///
/// ```
/// use valetkey_backends::{FederationTokenProvider, MemoryProvider, StsKeyExchange};
/// use valetkey_core::{Attribution, SessionPolicy};
/// # use valetkey_backends::AwsClientConfig;
/// # use valetkey_core::{Result, SessionContext};
/// # fn example(session: &SessionContext, client_config: &AwsClientConfig) -> Result<StsKeyExchange> {
///
/// FederationTokenProvider::for_attribution(&Attribution::for_session(session), MemoryProvider::new())
///     .policy(SessionPolicy::read_only(["s3", "logs"])?)
///     .client_config(client_config)
///     .build_key_exchange()
/// # }
/// ```
#[must_use]
pub struct FederationTokenBuilder {
    exchange: ExchangeBuilder,
    request: GetFederationTokenRequest,
}

impl FederationTokenBuilder {
    /// Sets how long the credentials work: whole seconds, 15 minutes to 36 hours, and at most 1 hour for the keys of
    /// the root user (default: the 12 hours of STS).
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.exchange.set_session_duration(duration);
        self
    }

    /// Sets the inline session policy: a JSON object, or a [`SessionPolicy`]. The credentials allow what both it and
    /// the policies of the IAM user allow.
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.request.policies.inline = Some(policy.into());
        self
    }

    /// Adds a managed session policy: at most 10, and at most 2,048 characters together with the inline policy.
    pub fn policy_arn(mut self, arn: impl Into<String>) -> Self {
        self.request.policies.arns.push(arn.into());
        self
    }

    /// Adds a session tag: at most 50, with a key of at most 128 and a value of at most 256 characters. No key may occur
    /// twice (case is ignored) or begin with `aws:`.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.tags.add(key, value);
        self
    }

    /// Adds the [tags](Attribution::tags) of `attribution` to the session. The policies of the keys must allow
    /// `sts:TagSession`, or [`without_attribution_tags`](Self::without_attribution_tags) must be set.
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
    pub fn build(self) -> Result<FederationTokenProvider> {
        self.build_exchange().map(FederationTokenProvider).map_err(|error| error.with_provider(NAME))
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
        self.exchange.attribution.tag(&mut self.request.tags)?;
        check_user_name(&self.request.name)?;
        self.request.policies.check()?;
        self.request.tags.check()?;
        self.request.duration = self.exchange.checked_seconds()?;
        self.exchange.build(ExchangeRequest::FederationToken(self.request))
    }
}

impl fmt::Debug for FederationTokenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FederationTokenBuilder")
            .field("request", &self.request)
            .field("source", self.exchange.source())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Default)]
pub(crate) struct GetFederationTokenRequest {
    pub(crate) name: String,
    pub(crate) duration: Option<i32>,
    pub(crate) policies: SessionPolicies,
    pub(crate) tags: SessionTags,
}

impl GetFederationTokenRequest {
    pub(crate) fn scope_down(&self, policy: &SessionPolicy) -> Result<Self> {
        let policies = self.policies.scope_down(policy)?;
        Ok(Self { policies, ..self.clone() })
    }

    #[allow(deprecated, reason = "older endpoints return only packed_policy_size")]
    pub(crate) async fn send(&self, sts: aws_sdk_sts::Client) -> Result<ExchangeResponse> {
        let call = sts
            .get_federation_token()
            .name(&self.name)
            .set_duration_seconds(self.duration)
            .set_policy(self.policies.inline.clone())
            .set_policy_arns(self.policies.to_sdk_arns())
            .set_tags(self.tags.to_sdk()?);
        let output = call.send().await.map_err(|sdk_error| error::from_sdk_error(OPERATION, &sdk_error))?;
        Ok(ExchangeResponse {
            operation: OPERATION,
            keys: output.credentials,
            account: output.federated_user.as_ref().and_then(|user| account_from_arn(user.arn())),
            utilization: output.session_token_utilization.or(output.packed_policy_size),
        })
    }
}

/// Omits the contents of policies and tags.
impl fmt::Debug for GetFederationTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetFederationTokenRequest")
            .field("name", &self.name)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}
