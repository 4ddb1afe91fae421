//! Retries of whole fetches, with a quota for each provider.
//!
//! `aws-config` makes the clients of its providers itself, and offers no way to give them a retry partition: neither
//! `ProviderConfig` nor the `SdkConfig` that it makes of one has a field for it, and the container and instance metadata
//! clients have partitions of their own in a static map. Their retries would come from buckets that all providers of the
//! process share. So their retries are off, and a fetch that failed for a transient reason is repeated here.

use std::error::Error as StdError;
use std::iter::successors;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_async::rt::sleep::AsyncSleep;
use aws_smithy_types::retry::{RetryConfig, RetrySpec};
use valetkey_core::ErrorKind;

use super::requests::{Outcome, Requests};
use crate::client_config::is_v2_1;
use crate::sdk::refusal;

/// The number of tokens that a success on the first attempt returns to the bucket.
const REWARD: u32 = 1;

/// Why a fetch failed.
pub(super) struct Failure {
    pub(super) error: CredentialsError,
    /// Whether the last attempt failed for a transient reason.
    pub(super) is_transient: bool,
}

/// Calls `attempt` as often as the SDK's standard retry strategy would make a request: up to the configured number of
/// attempts, with its back-off, and while `tokens` are left.
pub(super) async fn retried<F>(
    config: &SdkConfig,
    tokens: &Tokens,
    requests: &Requests,
    attempt: impl Fn() -> F,
) -> Result<Credentials, Failure>
where
    F: Future<Output = Result<Credentials, CredentialsError>>,
{
    let retries = config.retry_config();
    let max_retries = retries.map_or(0, |retries| retries.max_attempts().saturating_sub(1));
    let mut taken = REWARD;
    let mut retry = 0;
    loop {
        let error = match attempt().await {
            Ok(credentials) => {
                tokens.put_back(taken);
                return Ok(credentials);
            }
            Err(error) => error,
        };
        let Some(cost) = cost(&error, requests) else { return Err(Failure { error, is_transient: false }) };
        let permit = if retry < max_retries { tokens.take(cost, retries) } else { None };
        let Some(permit) = permit else { return Err(Failure { error, is_transient: true }) };
        taken = permit;
        retry += 1;
        if let (Some(retries), Some(sleep)) = (retries, config.sleep_impl()) {
            sleep.sleep(backoff(retries, cost, retry)).await;
        }
    }
}

/// Returns the cost of another attempt; `None` if it would fail in the same way.
fn cost(error: &CredentialsError, requests: &Requests) -> Option<Cost> {
    if matches!(
        innermost(error),
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)
    ) {
        return None;
    }
    let kind = refusal(error).map(|refusal| refusal.kind());
    match (requests.outcome(), kind) {
        (Outcome::NoRequest, _) => None,
        (Outcome::Failure(cost), _) => Some(cost),
        (_, Some(ErrorKind::Throttled)) => Some(Cost::Throttling),
        (_, Some(ErrorKind::TimedOut | ErrorKind::Unavailable)) => Some(Cost::Transient),
        // The response was truncated or malformed; the next may be complete.
        (Outcome::Success, None) => Some(Cost::Transient),
        // A signature with a wrong time is refused with many codes. The next request uses the time of the services.
        (Outcome::Refusal, _) if requests.has_new_skew() => Some(Cost::Transient),
        (Outcome::Success | Outcome::Refusal, _) => None,
    }
}

/// Returns the error of the provider that failed; a chain or a profile wraps it in an error of its own.
fn innermost(error: &CredentialsError) -> &CredentialsError {
    let causes = successors(error.source(), |cause: &&(dyn StdError + 'static)| (*cause).source());
    causes.filter_map(|cause| cause.downcast_ref::<CredentialsError>()).last().unwrap_or(error)
}

/// Returns a random part of a duration that doubles with each retry.
fn backoff(retries: &RetryConfig, cost: Cost, retry: u32) -> Duration {
    let initial = match (cost, retries.retry_spec()) {
        (Cost::Transient, Some(spec)) => RetrySpec::non_throttling_initial_backoff(spec),
        _ => retries.initial_backoff(),
    };
    let factor = 2_u32.saturating_pow(retry.saturating_sub(1));
    initial.saturating_mul(factor).min(retries.max_backoff()).mul_f64(fastrand::f64())
}

/// The number of tokens in a full bucket of the SDK.
const CAPACITY: u32 = 500;

/// The cost of a retry, by the cause of the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// The service was too busy.
    Throttling,
    /// The request was lost, or the service failed.
    Transient,
}

impl Cost {
    fn tokens(self, retries: Option<&RetryConfig>) -> u32 {
        match self {
            Self::Throttling => 5,
            Self::Transient if is_v2_1(retries) => 14,
            Self::Transient => 10,
        }
    }
}

/// A token bucket with the capacity and the costs of the SDK's, which only the SDK's own retry strategy can use.
///
/// A clone is a full bucket, because clones of a provider may belong to different sessions.
#[derive(Debug)]
pub(super) struct Tokens(AtomicU32);

impl Tokens {
    pub(super) fn full() -> Self {
        Self(AtomicU32::new(CAPACITY))
    }

    /// Takes the tokens for one retry and returns their number; `None` if too few are left.
    pub(super) fn take(&self, cost: Cost, retries: Option<&RetryConfig>) -> Option<u32> {
        let tokens = cost.tokens(retries);
        let taken = |left: u32| left.checked_sub(tokens);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok().map(|_| tokens)
    }

    /// Returns the tokens of the last retry of a successful call.
    pub(super) fn put_back(&self, tokens: u32) {
        let filled = |left: u32| Some(left.saturating_add(tokens).min(CAPACITY));
        // `filled` never returns `None`, so that the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, filled);
    }
}

impl Clone for Tokens {
    fn clone(&self) -> Self {
        Self::full()
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::retry::RetrySpec;

    use super::*;

    #[test]
    fn retry_tokens_taken_are_missing_until_returned() {
        let tokens = Tokens::full();
        for _ in 0..50 {
            assert_eq!(tokens.take(Cost::Transient, None), Some(10));
        }
        assert_eq!(tokens.take(Cost::Throttling, None), None);
        tokens.put_back(5);
        assert_eq!(tokens.take(Cost::Transient, None), None, "too few are left");
        assert_eq!(tokens.take(Cost::Throttling, None), Some(5));
        assert_eq!(tokens.clone().take(Cost::Transient, None), Some(10), "a clone is full");
    }

    #[test]
    fn retry_tokens_returned_never_exceed_capacity() {
        let tokens = Tokens::full();
        tokens.put_back(u32::MAX);
        let costs = std::iter::from_fn(|| tokens.take(Cost::Throttling, None));
        assert_eq!(costs.sum::<u32>(), CAPACITY);
    }

    #[test]
    fn retry_token_cost_follows_rules_version() {
        let new = RetryConfig::standard().with_retry_spec(RetrySpec::v2_1());
        assert_eq!(Tokens::full().take(Cost::Transient, Some(&new)), Some(14));
        assert_eq!(Tokens::full().take(Cost::Throttling, Some(&new)), Some(5));
    }
}
