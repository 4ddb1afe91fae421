//! `RateLimiter`: the requests of a placeholder in a second.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

/// The length of the period in which the limit applies, and in which an unused limit is saved up.
const PERIOD: Duration = Duration::from_secs(1);

/// A token bucket that holds the requests of one second.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    /// When the bucket is full again.
    full_at: Option<SystemTime>,
}

impl RateLimiter {
    /// Counts a request, and returns whether it is within the limit. A clock that jumps back by more than a second fills the
    /// bucket, since no request can have filled it for that long.
    pub(crate) fn acquire(&mut self, limit: NonZeroU32, now: SystemTime) -> bool {
        let cost = PERIOD / limit.get();
        let full_at =
            self.full_at.filter(|full_at| *full_at <= now + PERIOD).map_or(now, |full_at| full_at.max(now));
        let is_permitted = full_at + cost <= now + PERIOD;
        if is_permitted {
            self.full_at = Some(full_at + cost);
        }
        is_permitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acquire_within_second_stops_at_limit() {
        let (mut limiter, limit) = (RateLimiter::default(), NonZeroU32::new(4).unwrap());
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let mut acquire = |milliseconds| limiter.acquire(limit, start + Duration::from_millis(milliseconds));
        assert!((0..4).all(|_| acquire(0)) && !acquire(0) && !acquire(249));
        assert!(acquire(250) && !acquire(250), "a quarter of a second later there is room for one");
        assert!((0..4).all(|_| acquire(9_000)) && !acquire(9_000));
        assert!(limiter.acquire(limit, start - Duration::from_secs(50)), "the clock jumped back");
    }
}
