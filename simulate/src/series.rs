//! `Series`: what happened in each minute of the day.

use crate::{MINUTE, Millis};

/// Counts for each minute.
#[derive(Debug, Clone)]
pub struct Series {
    /// Credentials issued by STS.
    pub issued: Vec<u64>,
    /// Requests that STS throttled.
    pub throttled: Vec<u64>,
    /// Requests to which STS did not respond.
    pub unanswered: Vec<u64>,
    /// Operations of the store: two for each refresh, to take its lease and to save the result.
    pub store: Vec<u64>,
    /// Milliseconds for which open sessions in use had no valid credentials.
    pub without_credentials: Vec<u64>,
}

impl Series {
    /// Zeros until `until`.
    #[must_use]
    pub fn new(until: Millis) -> Self {
        let zeros = vec![0; minute(until) + 1];
        Self {
            issued: zeros.clone(),
            throttled: zeros.clone(),
            unanswered: zeros.clone(),
            store: zeros.clone(),
            without_credentials: zeros,
        }
    }

    /// Adds the time from `from` until `until` to `without_credentials`, minute by minute.
    pub fn add_time_without(&mut self, from: Millis, until: Millis) {
        let mut from = from;
        while from < until {
            let end = until.min((from / MINUTE + 1) * MINUTE);
            if let Some(total) = self.without_credentials.get_mut(minute(from)) {
                *total += u64::from(end - from);
            }
            from = end;
        }
    }
}

/// Adds one to a count at `now`.
pub fn count(series: &mut [u64], now: Millis) {
    if let Some(count) = series.get_mut(minute(now)) {
        *count += 1;
    }
}

fn minute(now: Millis) -> usize {
    usize::try_from(now / MINUTE).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_time_without_is_divided_by_minutes() {
        let mut series = Series::new(3 * MINUTE);
        series.add_time_without(MINUTE - 1_000, 2 * MINUTE + 500);
        assert_eq!(series.without_credentials, [1_000, 60_000, 500, 0]);
    }
}
