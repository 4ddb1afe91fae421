//! The refresh rules of `valetkey-core`: when credentials become due, and when a failed refresh is repeated.

use crate::{MINUTE, Millis, SECOND};

/// How many refreshes a node starts in a second: the default of `RefreshLimits`.
pub const REFRESHES_PER_SECOND: u32 = 50;
/// How many refreshes of a node run at a time: the default of `RefreshLimits`.
pub const CONCURRENT_REFRESHES: u32 = 64;
/// The longest wait for a response: the default of `RefreshPolicy::load_timeout`.
pub const LOAD_TIMEOUT: Millis = 20 * SECOND;

/// The instants at which credentials change freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// From now on they are replaced in the background.
    pub advisory_at: Millis,
    /// From now on they are replaced before they are used.
    pub mandatory_at: Millis,
    /// From now on AWS refuses them.
    pub expires_at: Millis,
}

impl Windows {
    /// Returns the windows of credentials of this lifetime that were issued at `now`. `jitter` (0 to 1) widens the
    /// advisory window by up to a tenth.
    #[must_use]
    pub fn new(now: Millis, lifetime: Millis, jitter: f64) -> Self {
        let expires_at = now + lifetime;
        let advisory = f64::from(advisory_window(lifetime)) * (1.0 + 0.1 * jitter);
        let earliest = now + (30 * SECOND).min((lifetime / 4).max(SECOND));
        Self {
            advisory_at: expires_at.saturating_sub(whole(advisory)).max(earliest),
            mandatory_at: expires_at.saturating_sub(MINUTE.min(lifetime / 4)).max(earliest),
            expires_at,
        }
    }
}

fn advisory_window(lifetime: Millis) -> Millis {
    if lifetime < 10 * MINUTE {
        lifetime / 4
    } else if lifetime <= 20 * MINUTE {
        5 * MINUTE
    } else if lifetime < 90 * MINUTE {
        15 * MINUTE
    } else {
        60 * MINUTE
    }
}

/// Returns when a failed background refresh is repeated: after 5 to 10 minutes, but when the mandatory window opens at
/// the latest, and then after 1 to 5 seconds.
pub fn next_attempt(now: Millis, windows: Windows, random: &mut fastrand::Rng) -> Millis {
    let after_short = now + retry_of_caller(random);
    let after_long = now + random.u32(300 * SECOND..=600 * SECOND);
    after_long.min(windows.mandatory_at.max(after_short))
}

/// Returns how long a caller without credentials waits before it tries again.
pub fn retry_of_caller(random: &mut fastrand::Rng) -> Millis {
    random.u32(SECOND..=5 * SECOND)
}

/// Returns the pauses before the second and the third attempt of one call that STS throttles: those of the AWS SDK's
/// standard retry mode.
pub fn throttling_pauses(random: &mut fastrand::Rng) -> [Millis; 2] {
    [random.u32(0..=SECOND), random.u32(0..=2 * SECOND)]
}

/// Returns a positive number without its fraction.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, and at most a day
fn whole(millis: f64) -> Millis {
    millis as Millis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HOUR;

    #[test]
    fn windows_of_an_hour_open_in_the_last_quarter() {
        let plain = Windows::new(0, HOUR, 0.0);
        let (advisory_at, mandatory_at) = (45 * MINUTE, 59 * MINUTE);
        assert_eq!(plain, Windows { advisory_at, mandatory_at, expires_at: HOUR });
        assert_eq!(Windows::new(0, HOUR, 1.0).advisory_at, 45 * MINUTE - 90 * SECOND);
        assert_eq!(Windows::new(0, 4 * SECOND, 0.0).advisory_at, 3 * SECOND);
    }

    #[test]
    fn next_attempt_is_bounded_by_the_mandatory_window() {
        let (windows, mut random) = (Windows::new(0, HOUR, 0.0), fastrand::Rng::with_seed(7));
        for _ in 0..100 {
            let early = next_attempt(46 * MINUTE, windows, &mut random);
            assert!((51 * MINUTE..=56 * MINUTE).contains(&early), "{early}");
            assert_eq!(next_attempt(58 * MINUTE, windows, &mut random), 59 * MINUTE);
            let late = next_attempt(59 * MINUTE, windows, &mut random) - 59 * MINUTE;
            assert!((SECOND..=5 * SECOND).contains(&late), "{late}");
        }
    }
}
