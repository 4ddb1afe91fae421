//! `FederationBuilder`: everything that a request may say, checked before anybody is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use valetkey_core::{Attribution, CredentialProvider, Region, Result, SessionId};

use super::FederationGuard;
use super::client::{ExchangeRequest, GetFederationTokenRequest, GetSessionTokenRequest};
use super::provider::{ExchangeConfig, FederationProvider, NAME, Passthrough};
use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::sts::attribution::RequestAttribution;
use crate::sts::mfa::MfaDevice;
use crate::sts::request::{USER_DURATION, user_name};
use crate::{AwsClientConfig, SecretProvider};

/// Describes an exchange of long-lived keys; made by [`FederationProvider::builder`] and
/// [`FederationProvider::federated`]. What can be said depends on how they are exchanged: `T`.
#[must_use]
pub struct FederationBuilder<T> {
    request: T,
    source: Arc<dyn CredentialProvider>,
    request_attribution: RequestAttribution,
    session_duration: Option<Duration>,
    passthrough: Passthrough,
    place: EndpointConfig,
}

impl<T> FederationBuilder<T> {
    fn new(request: T, source: Arc<dyn CredentialProvider>) -> Self {
        let (request_attribution, place) = (RequestAttribution::default(), EndpointConfig::default());
        Self {
            request,
            source,
            request_attribution,
            session_duration: None,
            passthrough: Passthrough::Nothing,
            place,
        }
    }

    /// How long the credentials work: whole seconds, 15 min to 36 h. The 12 h of STS unless said; the keys of an
    /// account's root get an hour at most.
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session_duration = Some(duration);
        self
    }

    /// Says who is behind the session. A federated user is [tagged](Attribution::tags) with it, which the policies of
    /// the keys must allow (`sts:TagSession`; [`tag_sessions`](Self::tag_sessions) turns the tags off).
    /// `GetSessionToken` takes neither name nor tags: what it issues says nothing but whose keys they were, unless it is
    /// narrowed, and so federated.
    pub fn attribution(mut self, attribution: &Attribution) -> Self {
        self.request_attribution.who = Some(attribution.clone());
        self
    }

    /// Sets whether the tags of the session name the attribution (default: true).
    pub fn tag_sessions(mut self, yes: bool) -> Self {
        self.request_attribution.tags_disabled = !yes;
        self
    }

    /// The region whose STS is asked, and that the answer is marked with. Without it the base's STS is asked, and the
    /// answer keeps the region of the source's credentials.
    pub fn region(mut self, region: Region) -> Self {
        self.place.region = Some(region);
        self
    }

    /// Where STS is, in place of what the base says.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.place.endpoint_url = Some(url.into());
        self
    }

    /// Sets the client configuration that this provider shares with others (default: [`AwsClientConfig::new`]).
    pub fn base(mut self, base: &AwsClientConfig) -> Self {
        self.place.base = Some(base.clone());
        self
    }

    fn guard_account(mut self) -> Self {
        self.passthrough = Passthrough::GuardedAccount;
        self
    }

    fn checked_seconds(&self) -> Result<Option<i32>> {
        self.session_duration.map(|duration| USER_DURATION.checked_seconds(duration)).transpose()
    }

    fn build_provider(self, request: impl FnOnce(T) -> ExchangeRequest) -> Result<FederationProvider> {
        let region = self.place.region.clone();
        let sts = Sts::new(self.place)?;
        let terms = ExchangeConfig { request: request(self.request), passthrough: self.passthrough };
        Ok(FederationProvider::new(sts, self.source, region, terms))
    }
}

impl FederationBuilder<GetSessionTokenRequest> {
    pub(super) fn session_token(source: Arc<dyn CredentialProvider>) -> Self {
        Self::new(GetSessionTokenRequest::default(), source)
    }

    /// Proves the presence of an MFA device, by its serial number (9–256 characters: an ARN, or what is printed on it)
    /// and the six digits that `code` gives at each fetch.
    ///
    /// A code needs a person, so each fetch may be a question to one: choose a long duration, and a load time-out of
    /// the session that a person can meet. When `code` fails, whatever the reason, the fetch is `InteractionRequired`:
    /// a session then serves what it has to its end, and does not ask in a loop. A request with a code is sent once.
    pub fn mfa(mut self, serial: impl Into<String>, code: impl SecretProvider + 'static) -> Self {
        self.request.mfa = Some(MfaDevice { serial: serial.into(), code: Arc::new(code) });
        self
    }

    /// Hands on a set of the source that is temporary already, as it is, in place of refusing it: for a source that
    /// users give whatever they have, such as an account of a session. Either way no long-lived key comes out.
    pub fn allow_temporary(mut self, enabled: bool) -> Self {
        self.passthrough = if enabled { Passthrough::Temporary } else { Passthrough::Nothing };
        self
    }

    /// A guard of an account: no long-lived key comes out of the account, however it came in. Keys that are set on it are
    /// kept by the guard and exchanged like those of the source, anew whenever what they were exchanged for expires.
    /// Temporary credentials are served as they are. An account whose source has nothing has nothing (`NotConfigured`),
    /// and is not broken. Register it with [`SessionBuilder::exchange_static_keys`](valetkey_core::SessionBuilder::exchange_static_keys).
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_guard(self) -> Result<FederationGuard> {
        self.guard_account().build().map(FederationGuard::new)
    }

    /// The provider. Nobody is asked yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field that breaks a limit and the limit.
    pub fn build(self) -> Result<FederationProvider> {
        self.checked().map_err(|error| error.with_provider(NAME))
    }

    fn checked(mut self) -> Result<FederationProvider> {
        self.request.duration = self.checked_seconds()?;
        self.request.mfa.as_ref().map_or(Ok(()), MfaDevice::check)?;
        self.request.scoped_down.name = self.request_attribution.user_name();
        self.request_attribution.tag(&mut self.request.scoped_down.tags)?;
        self.build_provider(ExchangeRequest::SessionToken)
    }
}

impl FederationBuilder<GetFederationTokenRequest> {
    pub(super) fn federation_token(name: String, source: Arc<dyn CredentialProvider>) -> Self {
        Self::new(GetFederationTokenRequest { name, ..GetFederationTokenRequest::default() }, source)
    }

    pub(super) fn federation_token_for(
        attribution: &Attribution,
        source: Arc<dyn CredentialProvider>,
    ) -> Self {
        let name = attribution.session_id().map(SessionId::compact).unwrap_or_default();
        Self::federation_token(name, source).attribution(attribution)
    }

    /// Allows what this policy (a JSON object) and those of the user both allow.
    pub fn policy(mut self, json: impl Into<String>) -> Self {
        self.request.policies.inline = Some(json.into());
        self
    }

    /// Allows what this managed policy and those of the user both allow; up to ten, and with the inline policy at most
    /// 2,048 characters.
    pub fn policy_arn(mut self, arn: impl Into<String>) -> Self {
        self.request.policies.arns.push(arn.into());
        self
    }

    /// Adds a session tag: up to 50, key up to 128 and value up to 256 characters, no key twice (case does not
    /// count), none beginning with `aws:`.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.tags.add(key, value);
        self
    }

    /// A guard of an account: no long-lived key comes out of the account, however it came in. Keys that are set on it are
    /// kept by the guard and exchanged like those of the source, anew whenever what they were exchanged for expires.
    /// Temporary credentials are served as they are. An account whose source has nothing has nothing (`NotConfigured`),
    /// and is not broken. Register it with [`SessionBuilder::exchange_static_keys`](valetkey_core::SessionBuilder::exchange_static_keys).
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_guard(self) -> Result<FederationGuard> {
        self.guard_account().build().map(FederationGuard::new)
    }

    /// The provider. Nobody is asked yet.
    ///
    /// # Errors
    /// `Invalid`, with the first field that breaks a limit and the limit.
    pub fn build(self) -> Result<FederationProvider> {
        self.checked().map_err(|error| error.with_provider(NAME))
    }

    fn checked(mut self) -> Result<FederationProvider> {
        self.request_attribution.tag(&mut self.request.tags)?;
        let GetFederationTokenRequest { name, policies, tags, .. } = &self.request;
        user_name(name)?;
        policies.check()?;
        tags.check()?;
        self.request.duration = self.checked_seconds()?;
        self.build_provider(ExchangeRequest::FederationToken)
    }
}

impl<T: fmt::Debug> fmt::Debug for FederationBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FederationBuilder")
            .field("request", &self.request)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
