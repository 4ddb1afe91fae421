//! `SessionIdentityCache`: caches no identity, and gives each configuration its own retry quota.

use std::collections::HashMap;

use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_smithy_runtime::client::identity::no_auth::NoAuthIdentity;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use aws_smithy_types::retry::RetryConfig;
use parking_lot::Mutex;

use crate::client_config::retry_quota;

/// Resolves the identity at each attempt, because the session is the cache.
///
/// It also carries the retry quota of the configuration, one for each service. An `SdkConfig` has no field for a retry
/// partition, but the SDK adds the properties of a resolved identity to the settings of the call, where its retry
/// strategy looks for the bucket and for the partition. Without this, all sessions of a process would share one bucket,
/// and one rate limiter of adaptive retries, for each service.
#[derive(Debug, Default)]
pub(super) struct SessionIdentityCache {
    quotas: Mutex<HashMap<String, Quota>>,
}

#[derive(Debug, Clone)]
struct Quota {
    bucket: TokenBucket,
    partition: RetryPartition,
}

impl SessionIdentityCache {
    /// Returns the quota of the service that the call addresses. The first call of a service creates it.
    fn quota(&self, settings: &ConfigBag) -> Quota {
        let service = settings.load::<Metadata>().map_or("", Metadata::service);
        let mut quotas = self.quotas.lock();
        if let Some(quota) = quotas.get(service) {
            return quota.clone();
        }
        let bucket = retry_quota::new_token_bucket(settings.load::<RetryConfig>());
        let quota = Quota { partition: retry_quota::partition_with(bucket.clone()), bucket };
        quotas.insert(service.to_owned(), quota.clone());
        quota
    }
}

impl Quota {
    fn layer(self) -> Layer {
        let mut layer = Layer::new("session");
        layer.store_put(self.bucket);
        layer.store_put(self.partition);
        layer
    }
}

impl ResolveCachedIdentity for SessionIdentityCache {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        settings: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async move {
            let identity = resolver.resolve_identity(components, settings).await?;
            let layer = || self.quota(settings).layer();
            if let Some(credentials) = identity.data::<Credentials>() {
                return with_layer(credentials, layer());
            }
            if identity.data::<NoAuthIdentity>().is_some() {
                return unsigned(layer());
            }
            Ok(identity)
        })
    }
}

/// Returns the identity of unsigned requests, such as `AssumeRoleWithWebIdentity`, with `layer` among its properties.
fn unsigned(layer: Layer) -> Result<Identity, BoxError> {
    let identity = Identity::builder().data(NoAuthIdentity::new());
    Ok(identity.property::<FrozenLayer>(layer.freeze()).build()?)
}

/// Returns the identity that the SDK makes of `credentials`, with `layer` among its properties.
fn with_layer(credentials: &Credentials, mut layer: Layer) -> Result<Identity, BoxError> {
    let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
    for feature in features.into_iter().flatten().cloned() {
        layer.store_append(feature);
    }
    let mut identity = Identity::builder().data(credentials.clone());
    if let Some(account_id) = credentials.account_id() {
        layer.store_append(AwsCredentialFeature::ResolvedAccountId);
        identity.set_property(account_id.clone());
    }
    identity.set_property::<FrozenLayer>(layer.freeze());
    identity.set_expiration(credentials.expiry());
    Ok(identity.build()?)
}
