//! Retry quotas: the SDK's token buckets, one per provider or session instead of one per process.
//!
//! By default the SDK shares one bucket among all clients of a service and region in a process. Calls of one tenant
//! that keep failing would then use up the retries of every other tenant.

use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_types::retry::{RetryConfig, RetrySpec};

/// Returns a partition that shares its bucket, and the rate limiter of adaptive retries, only with its clones. The SDK
/// does not keep it in a static map, so it is freed with its provider.
#[cfg(any(feature = "sts", feature = "secrets-manager"))]
pub(crate) fn new_retry_partition(retries: Option<&RetryConfig>) -> RetryPartition {
    partition_with(new_token_bucket(retries))
}

/// Returns a partition with this bucket and a rate limiter of its own.
pub(crate) fn partition_with(bucket: TokenBucket) -> RetryPartition {
    RetryPartition::custom("valetkey").token_bucket(bucket).build()
}

/// Returns a full bucket with the costs that the SDK uses for `retries`.
pub(crate) fn new_token_bucket(retries: Option<&RetryConfig>) -> TokenBucket {
    if is_v2_1(retries) {
        return TokenBucket::builder().retry_cost(14).throttling_retry_cost(5).timeout_retry_cost(14).build();
    }
    TokenBucket::default()
}

/// Returns whether `retries` uses version 2.1 of the retry specification of the SDKs, which has other costs.
pub(crate) fn is_v2_1(retries: Option<&RetryConfig>) -> bool {
    let spec = retries.and_then(RetryConfig::retry_spec);
    spec.is_some_and(|spec| spec.is_at_least(RetrySpec::V2_1))
}
