//! `Tokens`: a token bucket for retries that the SDK does not make.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_smithy_types::retry::RetryConfig;

use super::is_v2_1;

/// How many tokens the SDK's buckets hold.
const CAPACITY: u32 = 500;

/// What a retry costs, by what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
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

/// A bucket with the capacity and the costs of the SDK's own, which lends its tokens to the SDK's retry strategy only.
/// A clone is a full bucket: clones of a provider may belong to different sessions.
#[derive(Debug)]
pub(crate) struct Tokens(AtomicU32);

impl Tokens {
    pub(crate) fn full() -> Self {
        Self(AtomicU32::new(CAPACITY))
    }

    /// Takes the tokens for one retry, and returns how many they were; `None` if too few are left.
    pub(crate) fn take(&self, cost: Cost, retries: Option<&RetryConfig>) -> Option<u32> {
        let tokens = cost.tokens(retries);
        let taken = |left: u32| left.checked_sub(tokens);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok().map(|_| tokens)
    }

    /// Puts back what the last retry of a successful call took.
    pub(crate) fn put_back(&self, tokens: u32) {
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
    fn tokens_taken_are_missing_until_they_are_put_back() {
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
    fn tokens_put_back_never_exceed_the_capacity() {
        let tokens = Tokens::full();
        tokens.put_back(u32::MAX);
        let costs = std::iter::from_fn(|| tokens.take(Cost::Throttling, None));
        assert_eq!(costs.sum::<u32>(), CAPACITY);
    }

    #[test]
    fn tokens_cost_what_the_version_of_the_rules_says() {
        let new = RetryConfig::standard().with_retry_spec(RetrySpec::v2_1());
        assert_eq!(Tokens::full().take(Cost::Transient, Some(&new)), Some(14));
        assert_eq!(Tokens::full().take(Cost::Throttling, Some(&new)), Some(5));
    }
}
