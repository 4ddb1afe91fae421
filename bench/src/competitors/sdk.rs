//! The AWS SDK's identity cache, called as by its orchestrator: once for each signed request.

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::identity::{
    Identity, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;

use crate::Result;
use crate::fake_source::Upstream;
use crate::payload::Payload;
use crate::subject::{Peer, Subject};

/// One cache with one resolver, and the parts of a client's configuration that the cache reads.
pub(crate) struct SdkPeer {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    client: SdkClient,
}

/// The parts that each client has.
pub(crate) struct SdkClient {
    components: RuntimeComponents,
    bag: ConfigBag,
}

impl SdkClient {
    pub(crate) fn new() -> Result<Self> {
        let components = RuntimeComponentsBuilder::for_tests()
            .with_time_source(Some(SharedTimeSource::new(SystemTimeSource::new())))
            .with_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep::new())))
            .build()?;
        Ok(Self { components, bag: ConfigBag::base() })
    }
}

/// The cached identity of one session, without a client, for the measure of memory.
pub(crate) struct CachedIdentity(SharedIdentityCache, SharedIdentityResolver);

impl CachedIdentity {
    /// Creates a cache that has fetched its credentials.
    pub(crate) async fn fetched(client: &SdkClient, upstream: Upstream) -> Result<Self> {
        let held = Self(IdentityCache::lazy().build(), identity_resolver(upstream));
        held.0.resolve_cached_identity(held.1.clone(), &client.components, &client.bag).await?;
        Ok(held)
    }
}

impl Subject for SdkPeer {
    type Fetched = Identity;
    type FetchError = BoxError;

    async fn fetch(&self) -> std::result::Result<Identity, BoxError> {
        let SdkClient { components, bag } = &self.client;
        self.cache.resolve_cached_identity(self.resolver.clone(), components, bag).await
    }
}

impl Peer for SdkPeer {
    const NAME: &'static str = "AWS SDK identity cache";
    // The buffer before expiry is 5 to 10 seconds, chosen at random for each stored identity.
    const STALE_LIFETIME: Option<Duration> = Some(Duration::from_secs(4));

    async fn setup(upstream: Upstream) -> Result<Self> {
        Ok(Self {
            cache: IdentityCache::lazy().build(),
            resolver: identity_resolver(upstream),
            client: SdkClient::new()?,
        })
    }
}

fn identity_resolver(upstream: Upstream) -> SharedIdentityResolver {
    SharedIdentityResolver::new(SharedCredentialsProvider::new(UpstreamProvider(upstream)))
}

struct UpstreamProvider(Upstream);

impl fmt::Debug for UpstreamProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamProvider")
    }
}

impl ProvideCredentials for UpstreamProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let answer = self.0.call().await.map_err(CredentialsError::provider_error)?;
            let Payload { key_id, secret, token } = answer.payload;
            Ok(Credentials::new(key_id, secret, Some(token), Some(answer.expires_at), "upstream"))
        })
    }
}
