//! `FederationProvider`: long-lived keys in, temporary credentials of the same user out.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use valetkey_core::{
    Attribution, CredentialProvider, Credentials, IntoProvider, Region, Result, SessionPolicy,
};

use super::builder::FederationBuilder;
use super::client::{ExchangeRequest, ExchangeResponse, GetFederationTokenRequest, GetSessionTokenRequest};
use super::error;
use super::given::StaticSource;
use crate::sts::Sts;
use crate::sts::response::{self, Utilization};
use crate::validity;

pub(super) const NAME: &str = "federation";

/// What is asked for the keys, and what of those that need no exchange.
#[derive(Clone, Debug)]
pub(super) struct ExchangeConfig {
    pub(super) request: ExchangeRequest,
    pub(super) passthrough: Passthrough,
}

/// What comes through unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passthrough {
    Nothing,
    /// A set that is temporary already.
    Temporary,
    /// The same, and that there is none: source and provider stand for one account.
    GuardedAccount,
}

/// Exchanges the long-lived keys of an IAM user for temporary ones at every fetch. Standing guard over an account, it
/// keeps keys from ever reaching a child process, also those that a model sets:
///
/// ```
/// # use valetkey_backends::{FederationProvider, MemoryProvider, AwsClientConfig};
/// # use valetkey_core::{Credentials, Result, SessionContext};
/// # fn example(base: &AwsClientConfig, keys: Credentials) -> Result<()> {
/// let exchange = FederationProvider::builder(MemoryProvider::new()).base(base).build_guard()?;
/// let session = SessionContext::builder().exchange_static_keys(exchange).build();
/// session.set_credentials(keys)?; // never served: what they are exchanged for is
/// # Ok(())
/// # }
/// ```
///
/// What `GetSessionToken` issues has the user's authority, except that it opens neither IAM (unless with MFA) nor STS
/// (but for `AssumeRole` and `GetCallerIdentity`). What `GetFederationToken` issues has what its policies and the
/// user's both allow, so without policies only what resources grant it by name; it opens neither IAM nor the rest of
/// STS.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`.
#[derive(Debug)]
pub struct FederationProvider {
    sts: Sts,
    source: Arc<dyn CredentialProvider>,
    region: Option<Region>,
    config: ExchangeConfig,
    utilization: Utilization,
}

impl FederationProvider {
    /// Describes temporary credentials of the same user with the same authority (`GetSessionToken`).
    pub fn builder(source: impl IntoProvider) -> FederationBuilder<GetSessionTokenRequest> {
        FederationBuilder::session_token(source.into_provider())
    }

    /// Describes temporary credentials for somebody of this name (2–32 of `A-Z a-z 0-9 _ + = , . @ -`), with no more
    /// authority than policies give (`GetFederationToken`).
    pub fn federated(
        name: impl Into<String>,
        source: impl IntoProvider,
    ) -> FederationBuilder<GetFederationTokenRequest> {
        FederationBuilder::federation_token(name.into(), source.into_provider())
    }

    /// Describes the same for whoever is behind a session, in the words of a session: the user's name is the session's id
    /// without hyphens, and its tags say the rest. It does not build when `who` says no session. See
    /// [`attribution`](FederationBuilder::attribution).
    pub fn attributed(
        who: &Attribution,
        source: impl IntoProvider,
    ) -> FederationBuilder<GetFederationTokenRequest> {
        FederationBuilder::federation_token_for(who, source.into_provider())
    }

    pub(super) fn new(
        sts: Sts,
        source: Arc<dyn CredentialProvider>,
        region: Option<Region>,
        config: ExchangeConfig,
    ) -> Self {
        Self { sts, source, region, config, utilization: Utilization::default() }
    }

    /// How much of the space that STS allows for policies, tags and what it adds itself the last session took, in
    /// percent; `None` until STS has told it. Above 100 it refuses.
    #[must_use]
    pub fn utilization(&self) -> Option<u32> {
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
            (true, Passthrough::Nothing) => Err(error::temporary_source()),
            (true, _) => Ok(source),
            (false, _) => {
                let exchanged = self.config.request.send(self.sts.client_for(&source)).await?;
                self.parse_response(exchanged, &source)
            }
        }
    }

    fn parse_response(&self, exchanged: ExchangeResponse, source: &Credentials) -> Result<Credentials> {
        self.utilization.record(exchanged.utilization);
        let region = self.region.as_ref().or(source.region());
        let environment_region = source.environment_region().cloned().or_else(|| self.sts.region());
        let account = exchanged.account.as_ref().or(source.account_id());
        response::credentials_from_response(exchanged.operation, exchanged.keys, |set| {
            set.account_id(account.cloned())
                .region(region.cloned())
                .environment_region(environment_region)
                .provider(NAME)
        })
    }
}

impl FederationProvider {
    /// The same exchange with `given` as its source, unless that is temporary.
    pub(super) fn exchange_for(&self, static_keys: &Credentials) -> Option<Arc<dyn CredentialProvider>> {
        let guarded =
            self.config.passthrough == Passthrough::GuardedAccount && !validity::is_temporary(static_keys);
        guarded.then(|| {
            let (sts, source) =
                (self.sts.with_own_retry_quota(), Arc::new(StaticSource(static_keys.clone())));
            Arc::new(Self::new(sts, source, self.region.clone(), self.config.clone()))
                as Arc<dyn CredentialProvider>
        })
    }
}

#[async_trait]
impl CredentialProvider for FederationProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// What the source answered, naming it; but `Invalid`, with the field `source`, when it is not configured or has
    /// temporary credentials. `InteractionRequired`, with the field `mfa_code`, when a code is needed and
    /// nobody gives one, or it is refused. `Denied` when STS refuses,
    /// `Invalid` for what it calls malformed, too large or disabled in its region, `Throttled`, `TimedOut` or
    /// `Unavailable` when it cannot answer now.
    async fn provide(&self) -> Result<Credentials> {
        self.exchange().await.map_err(|error| error.with_provider(NAME))
    }

    /// Keeps nothing itself; its source may.
    fn clear_cache(&self) {
        self.source.clear_cache();
    }

    /// A federated user whose policy allows what the one that was asked for (if there is one) and `policy` both allow.
    /// Plain exchanges go by the session's id then, or else the name `valetkey`. A temporary set is refused, even where
    /// it is otherwise handed on: it would be the whole of it. On a guarded account whose source can be narrowed itself,
    /// that is what is narrowed.
    ///
    /// # Errors
    /// `Invalid` when the two have nothing in common or cannot be compared, when policy ARNs were asked for, and for an
    /// exchange with MFA.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        if self.config.passthrough == Passthrough::GuardedAccount
            && let Ok(narrowed) = self.source.scope_down(policy)
        {
            return Ok(narrowed);
        }
        let request = self.config.request.scope_down(policy).map_err(|error| error.with_provider(NAME))?;
        let terms = ExchangeConfig { request, passthrough: Passthrough::Nothing };
        Ok(Arc::new(Self::new(
            self.sts.with_own_retry_quota(),
            Arc::clone(&self.source),
            self.region.clone(),
            terms,
        )))
    }
}
