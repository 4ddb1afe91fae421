//! `SessionIdentityCache`: caches no identity, and gives each configuration its own retry quota.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_smithy_runtime::client::retries::TokenBucket;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use aws_smithy_types::retry::RetryConfig;

use crate::base::quota;

/// Resolves the identity at each attempt: the session is the cache.
///
/// It also carries the retry quota of the configuration, one bucket for each service. An `SdkConfig` has no field for a
/// retry partition, but the SDK adds the properties of a resolved identity to the settings of the call, where its retry
/// strategy looks for the bucket. Without this, all sessions of a process would share one bucket for each service.
#[derive(Debug, Default)]
pub(super) struct SessionIdentityCache {
    buckets: Mutex<HashMap<String, TokenBucket>>,
}

impl SessionIdentityCache {
    fn service_bucket(&self, settings: &ConfigBag) -> TokenBucket {
        let service = settings.load::<Metadata>().map_or("", Metadata::service);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(service) {
            return bucket.clone();
        }
        let bucket = quota::new_token_bucket(settings.load::<RetryConfig>());
        buckets.insert(service.to_owned(), bucket.clone());
        bucket
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
            match identity.data::<Credentials>() {
                Some(credentials) => identity_with_bucket(credentials, self.service_bucket(settings)),
                None => Ok(identity),
            }
        })
    }
}

/// The identity that the SDK makes of `credentials`, with a bucket among its properties.
fn identity_with_bucket(
    credentials: &Credentials,
    bucket: TokenBucket,
) -> Result<Identity, aws_smithy_runtime_api::box_error::BoxError> {
    let mut layer = Layer::new("session");
    layer.store_put(bucket);
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
