//! The AWS SDK's identity cache, called as its orchestrator calls it: once for each request that is signed.

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
use crate::payload::Payload;
use crate::subject::{Peer, Subject};
use crate::upstream::Upstream;

/// One cache with one resolver, and the parts of a client's configuration that it asks for.
pub(crate) struct SdkCache {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    client: Client,
}

/// What a client has anyway.
pub(crate) struct Client {
    components: RuntimeComponents,
    bag: ConfigBag,
}

impl Client {
    pub(crate) fn new() -> Result<Self> {
        let components = RuntimeComponentsBuilder::for_tests()
            .with_time_source(Some(SharedTimeSource::new(SystemTimeSource::new())))
            .with_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep::new())))
            .build()?;
        Ok(Self { components, bag: ConfigBag::base() })
    }
}

/// One session's worth of it, for the measure of memory: what is cached, without the client around it.
pub(crate) struct Held(SharedIdentityCache, SharedIdentityResolver);

impl Held {
    /// A cache that has fetched its set.
    pub(crate) async fn filled(client: &Client, upstream: Upstream) -> Result<Self> {
        let held = Self(IdentityCache::lazy().build(), resolver(upstream));
        held.0.resolve_cached_identity(held.1.clone(), &client.components, &client.bag).await?;
        Ok(held)
    }
}

impl Subject for SdkCache {
    type Set = Identity;
    type Fault = BoxError;

    async fn fetch(&self) -> std::result::Result<Identity, BoxError> {
        let Client { components, bag } = &self.client;
        self.cache.resolve_cached_identity(self.resolver.clone(), components, bag).await
    }
}

impl Peer for SdkCache {
    const NAME: &'static str = "AWS SDK identity cache";
    // The buffer before expiry is 5 to 10 seconds, drawn anew each time a set is stored.
    const BORN_STALE: Option<Duration> = Some(Duration::from_secs(4));

    async fn open(upstream: Upstream) -> Result<Self> {
        Ok(Self {
            cache: IdentityCache::lazy().build(),
            resolver: resolver(upstream),
            client: Client::new()?,
        })
    }
}

fn resolver(upstream: Upstream) -> SharedIdentityResolver {
    SharedIdentityResolver::new(SharedCredentialsProvider::new(Source(upstream)))
}

struct Source(Upstream);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let answer = self.0.ask().await.map_err(CredentialsError::provider_error)?;
            let Payload { key_id, secret, token } = answer.payload;
            Ok(Credentials::new(key_id, secret, Some(token), Some(answer.expires_at), "upstream"))
        })
    }
}
