//! Retry quotas: the SDK's token buckets, one per provider or session instead of one per process.
//!
//! By default the SDK shares one bucket among all clients of a service and region in a process. Calls of one tenant
//! that keep failing would then use up the retries of every other tenant.

#[cfg(any(feature = "sts", feature = "secrets-manager"))]
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime::client::retries::TokenBucket;
use aws_smithy_types::retry::{RetryConfig, RetrySpec};

/// A partition that shares its bucket with its clones only. The SDK keeps it in no static map, so that it is freed with
/// its provider.
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) fn new_retry_partition(retries: Option<&RetryConfig>) -> RetryPartition {
    RetryPartition::custom("valetkey").token_bucket(new_token_bucket(retries)).build()
}

/// A full bucket with the costs that the SDK uses for `retries`.
pub(crate) fn new_token_bucket(retries: Option<&RetryConfig>) -> TokenBucket {
    let spec = retries.and_then(RetryConfig::retry_spec);
    if spec.is_some_and(|spec| spec.is_at_least(RetrySpec::V2_1)) {
        return TokenBucket::builder().retry_cost(14).throttling_retry_cost(5).timeout_retry_cost(14).build();
    }
    TokenBucket::default()
}
