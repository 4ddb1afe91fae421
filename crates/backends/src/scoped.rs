//! `ScopedProvider`: temporary credentials with fewer permissions, from `GetScopedCredentials`.

mod operation;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_smithy_types::DateTime;
use valetkey_core::{
    Attribution, Clock, CredentialProvider, Credentials, Error, ErrorKind, IntoProvider, Region, Result,
    SessionPolicy, SystemClock,
};

use self::operation::{OPERATION, ScopedCredentialsRequest};
use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::request::{DurationRange, ensure};
use crate::sts::{account_from_arn, credentials_from_response};
use crate::{AwsClientConfig, validity};

const NAME: &str = "scoped";

/// The limits of the scoped credentials.
#[derive(Debug, Clone)]
struct ScopeDownParameters {
    policy: Option<SessionPolicy>,
    duration_seconds: Option<i32>,
    description: Option<String>,
}

/// Narrows any temporary credentials with `GetScopedCredentials`, without assuming a role: the identity, the session name
/// and the tags do not change.
///
/// Until it has a policy or a duration, it returns the credentials of the source and calls nothing. In a chain, a source
/// that is not configured does not make this provider absent: it is `Invalid`. AWS allows three scope-down policies in one
/// session; this provider adds one, however often it is narrowed.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use valetkey_backends::{AwsClientConfig, ScopedProvider};
/// # use valetkey_core::{AccessScope, CredentialProvider, Result, SessionContext, SessionPolicy};
/// # fn example(source: Arc<dyn CredentialProvider>, client_config: &AwsClientConfig) -> Result<SessionContext> {
/// let provider = ScopedProvider::builder(source).client_config(client_config).build()?;
/// let session = SessionContext::builder().provider(provider).build();
/// session.narrow(AccessScope::new().policy(SessionPolicy::read_only(["ecs", "logs"])?))
/// # }
/// ```
///
/// # Experimental
/// AWS announced the operation in November 2026. The SDK for Rust does not have it, and no emulator responds to it. The
/// tests compare request and response with the service model that AWS publishes, through the newest botocore, and refuse
/// a response that is not one to `GetScopedCredentials`, does not name the scoped session, reports no scope-down policy or
/// has the source's session token. They cannot prove that AWS enforces the policy. Before you rely on it, make a call that
/// the policy does not allow. A role narrowed by [`AssumeRoleProvider`](crate::AssumeRoleProvider) is the proven way. Once the SDK has the operation, this type will use
/// it, and may change with it in a minor version.
#[derive(Debug)]
pub struct ScopedProvider {
    sts: Sts,
    source: Arc<dyn CredentialProvider>,
    region: Option<Region>,
    scope: ScopeDownParameters,
}

impl ScopedProvider {
    /// Starts the description of a restriction of the temporary credentials of `source`. The default restricts nothing.
    pub fn builder(source: impl IntoProvider) -> ScopedBuilder {
        ScopedBuilder::new(source.into_provider())
    }

    fn new(
        sts: Sts,
        source: Arc<dyn CredentialProvider>,
        region: Option<Region>,
        scope: ScopeDownParameters,
    ) -> Self {
        Self { sts, source, region, scope }
    }

    fn wrapping(
        &self,
        source: Arc<dyn CredentialProvider>,
        scope: ScopeDownParameters,
    ) -> Arc<dyn CredentialProvider> {
        Arc::new(Self::new(self.sts.with_own_retry_quota(), source, self.region.clone(), scope))
    }

    async fn scoped_credentials(&self) -> Result<Credentials> {
        let source = validity::source_credentials(&*self.source).await?;
        if !validity::is_temporary(&source) {
            return Err(long_lived_source());
        }
        let (policy, seconds) = (self.scope.policy.as_ref(), self.requested_seconds(&source));
        if policy.is_none() && seconds.is_none() {
            return Ok(source);
        }
        self.fetch(
            &source,
            ScopedCredentialsRequest {
                policy,
                duration_seconds: seconds,
                description: self.scope.description.as_deref(),
            },
        )
        .await
    }

    /// Returns the duration to request; `None` if the source expires earlier, because STS refuses a longer duration.
    fn requested_seconds(&self, source: &Credentials) -> Option<i32> {
        let remaining = source.expiry().remaining(SystemClock.now()).map(|remaining| remaining.as_secs());
        self.scope
            .duration_seconds
            .filter(|seconds| remaining.is_none_or(|remaining| u64::from(seconds.unsigned_abs()) < remaining))
    }

    async fn fetch(
        &self,
        source: &Credentials,
        request: ScopedCredentialsRequest<'_>,
    ) -> Result<Credentials> {
        let (mut keys, arn) =
            operation::get_scoped_credentials(&self.sts.client_for(source), request).await?;
        // The permissions belong to the session token: the same token has the same permissions.
        if source.expose_session_token() == Some(keys.session_token()) {
            return Err(not_scoped_down());
        }
        keys.expiration = min_expiry(keys.expiration, source.expiry().instant());
        let account = source.account_id().cloned().or_else(|| account_from_arn(&arn));
        let region = self.region.as_ref().or(source.region()).cloned();
        let environment_region = source.environment_region().cloned().or_else(|| self.sts.region());
        credentials_from_response(OPERATION, Some(keys), |credentials| {
            credentials
                .account_id(account)
                .region(region)
                .environment_region(environment_region)
                .provider(NAME)
        })
    }
}

fn min_expiry(reported: DateTime, source_expiry: Option<SystemTime>) -> DateTime {
    source_expiry.map_or(reported, |of_source| reported.min(of_source.into()))
}

#[async_trait]
impl CredentialProvider for ScopedProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// - Errors of the source keep their kind and name the source. A source that is not configured, or has long-lived
    ///   credentials, is `Invalid`, with the field `source`.
    /// - `Invalid`, with the field `policy`: the response does not show that the credentials were scoped down.
    /// - `Invalid`: STS finds the request malformed or too large, does not know the operation, or is disabled in its
    ///   region.
    /// - `Denied`: STS refuses the request.
    /// - `Expired`: the credentials of the source have expired.
    /// - `Throttled`, `TimedOut`, `Unavailable`: STS cannot respond now.
    async fn provide(&self) -> Result<Credentials> {
        self.scoped_credentials().await.map_err(|error| error.with_provider(NAME))
    }

    /// Clears the cache of the source. This provider caches nothing.
    fn clear_cache(&self) {
        self.source.clear_cache();
    }

    /// Returns a provider of the same source whose policy allows what the policy of this provider, if it has one, and
    /// `policy` both allow.
    ///
    /// The intersection is computed here and sent as one policy. AWS would also accept one call for each policy, but each
    /// would add its policy to the token, whose size is limited, and only AWS could enforce the earlier ones.
    ///
    /// # Errors
    /// `Invalid` if the policies have nothing in common or cannot be compared.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let own = self.scope.policy.as_ref();
        let policy = own.map_or_else(|| Ok(policy.clone()), |own| own.intersect(policy));
        let policy = Some(policy.map_err(|error| error.with_provider(NAME))?);
        Ok(self.wrapping(Arc::clone(&self.source), ScopeDownParameters { policy, ..self.scope.clone() }))
    }
}

/// STS scopes down sessions, and long-lived keys have no session.
fn long_lived_source() -> Error {
    Error::invalid("source", format!("has long-lived credentials, which {OPERATION} does not take"))
        .with_next_step(
            "exchange them first: use a SessionTokenProvider as the source, or a role assumed with them",
        )
}

/// A permanent error: the service does not know the operation.
fn not_scoped_down() -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("the response to {OPERATION} does not show that the credentials were scoped down"),
    )
    .with_field("policy")
    .with_next_step(format!(
        "check that region and endpoint URL lead to an STS that knows {OPERATION}, or narrow a role instead"
    ))
}

const SCOPED_DURATION: DurationRange =
    DurationRange { min_seconds: 1, max_seconds: 129_600, message: "must be 1 to 129,600 whole seconds" };

/// Describes a [`ScopedProvider`].
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use valetkey_backends::{AwsClientConfig, ScopedProvider};
/// # use valetkey_core::{CredentialProvider, Result, SessionPolicy};
/// # fn example(source: Arc<dyn CredentialProvider>, client_config: &AwsClientConfig) -> Result<ScopedProvider> {
/// ScopedProvider::builder(source)
///     .policy(SessionPolicy::read_only(["ecs"])?)
///     .description("nightly report")
///     .client_config(client_config)
///     .build()
/// # }
/// ```
#[must_use]
pub struct ScopedBuilder {
    source: Arc<dyn CredentialProvider>,
    policy: Option<SessionPolicy>,
    session_duration: Option<Duration>,
    description: Option<String>,
    endpoint: EndpointConfig,
}

impl ScopedBuilder {
    fn new(source: Arc<dyn CredentialProvider>) -> Self {
        Self {
            source,
            policy: None,
            session_duration: None,
            description: None,
            endpoint: EndpointConfig::default(),
        }
    }

    /// Sets the scope-down policy: the credentials allow what both it and the source's credentials allow (default: none).
    pub fn policy(mut self, policy: SessionPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets how long the credentials work: whole seconds, 1 second to 36 hours, and at most as long as the credentials of
    /// the source (default: as long as those).
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }

    /// Sets the description that CloudTrail records with the request: 2–256 characters of Latin-1 without control
    /// characters. It must not contain a secret.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Sets the [description](Self::description) to the [tags](Attribution::tags) of an attribution, as `key=value`
    /// separated by spaces. The identity and the tags of the session remain those of the source.
    pub fn attribution(self, attribution: &Attribution) -> Self {
        let tags = attribution.tags().into_iter().map(|(key, value)| format!("{key}={value}"));
        self.description(tags.collect::<Vec<_>>().join(" "))
    }

    /// Sets the region of STS, which also becomes the region of the credentials (default: STS in the region of the
    /// client configuration, and the region of the source's credentials). The global endpoint does not know the operation.
    pub fn region(mut self, region: Region) -> Self {
        self.endpoint.region = Some(region);
        self
    }

    /// Sets the URL of STS (default: the endpoint of the client configuration).
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint.endpoint_url = Some(url.into());
        self
    }

    /// Sets the client configuration, which providers share (default: [`AwsClientConfig::new`]).
    pub fn client_config(mut self, config: &AwsClientConfig) -> Self {
        self.endpoint.client_config = Some(config.clone());
        self
    }

    /// Checks the description and returns the provider. Calls nothing yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field outside its limits, and the limits.
    pub fn build(self) -> Result<ScopedProvider> {
        self.build_provider().map_err(|error| error.with_provider(NAME))
    }

    fn build_provider(self) -> Result<ScopedProvider> {
        let duration =
            self.session_duration.map(|duration| SCOPED_DURATION.checked_seconds(duration)).transpose()?;
        self.description.as_deref().map_or(Ok(()), check_description)?;
        let region = self.endpoint.region.clone();
        let scope = ScopeDownParameters {
            policy: self.policy,
            duration_seconds: duration,
            description: self.description,
        };
        Ok(ScopedProvider::new(Sts::new(self.endpoint)?, self.source, region, scope))
    }
}

/// The characters of the service model: printable characters of Latin-1, tab and line breaks.
fn check_description(text: &str) -> Result<()> {
    let is_allowed = |c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    ensure(
        (2..=256).contains(&text.chars().count()) && text.chars().all(is_allowed),
        "description",
        "must be 2 to 256 printable characters of Latin-1",
    )
}

impl std::fmt::Debug for ScopedBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScopedBuilder")
            .field("policy", &self.policy)
            .field("duration", &self.session_duration)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
