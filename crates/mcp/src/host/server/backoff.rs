//! `RestartBackoff`: delays the starts of a server that keeps failing.

use std::time::Duration;

use tokio::time::Instant;
use valetkey_core::{Error, ErrorKind, Result};

const BASE_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(60);
/// From this number of consecutive failures on, the delay is `MAX_DELAY`.
const MAX_DELAY_AFTER_FAILURES: u32 = 5;

/// Counts consecutive failures and delays the next start: no delay after the first failure, 0.5 s after the second,
/// twice the previous delay after the third and fourth, and 60 s from the fifth on.
#[derive(Debug, Default)]
pub(super) struct RestartBackoff {
    failures: u32,
    not_before: Option<Instant>,
    /// The cause of the last failure.
    last_error: String,
}

impl RestartBackoff {
    pub(super) fn record_failure(&mut self, cause: impl Into<String>) {
        self.last_error = cause.into();
        self.failures += 1;
        let pause = match self.failures {
            1 => Duration::ZERO,
            failures if failures < MAX_DELAY_AFTER_FAILURES => BASE_DELAY * 2_u32.pow(failures - 2),
            _ => MAX_DELAY,
        };
        self.not_before = Some(Instant::now() + pause);
    }

    /// Forgets all failures, because the server has worked.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Returns an error with the cause of the last failure while the server must not be started.
    pub(super) fn check(&self) -> Result<()> {
        let Some(pause) = self.delay() else { return Ok(()) };
        let (pause, cause) = (pause.as_secs_f32(), &self.last_error);
        let message =
            format!("the server keeps failing and is not started for another {pause:.1} s: {cause}");
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    fn delay(&self) -> Option<Duration> {
        self.not_before?.checked_duration_since(Instant::now()).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn restart_backoff_doubles_to_max_delay_and_reset_clears_it() {
        let mut restarts = RestartBackoff::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            restarts.record_failure("it ended");
            pauses.push(restarts.delay().unwrap_or_default().as_millis());
        }
        assert_eq!(pauses, [0, 500, 1000, 2000, 60_000, 60_000]);
        assert!(restarts.check().unwrap_err().message().ends_with("60.0 s: it ended"));
        restarts.reset();
        assert!(restarts.check().is_ok());
    }
}
