//! When a server that keeps ending may be started again.

use std::time::Duration;

use tokio::time::Instant;
use valetkey_core::{Error, ErrorKind, Result};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// After this many failures in a row, only the longest pause is tried.
const CIRCUIT: u32 = 5;

/// Failures in a row, and the pause they cost: none for the first, then doubling from half a second, a minute from the
/// fifth on.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    failures: u32,
    not_before: Option<Instant>,
    /// Of the last failure.
    cause: String,
}

impl Restarts {
    pub(super) fn failed(&mut self, cause: impl Into<String>) {
        self.cause = cause.into();
        self.failures += 1;
        let pause = match self.failures {
            1 => Duration::ZERO,
            some if some < CIRCUIT => FIRST * 2_u32.pow(some - 2),
            _ => LONGEST,
        };
        self.not_before = Some(Instant::now() + pause);
    }

    /// The server did what it is for.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Whether a start may be tried now; if not, the failure to tell.
    pub(super) fn check(&self) -> Result<()> {
        let Some(pause) = self.pause() else { return Ok(()) };
        let (pause, cause) = (pause.as_secs_f32(), &self.cause);
        let message =
            format!("the server keeps failing and is not started for another {pause:.1} s: {cause}");
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    fn pause(&self) -> Option<Duration> {
        self.not_before?.checked_duration_since(Instant::now()).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_free_then_pauses_double_up_to_a_minute_and_success_forgets() {
        let mut restarts = Restarts::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            restarts.failed("it ended");
            pauses.push(restarts.pause().unwrap_or_default().as_millis());
        }
        assert_eq!(pauses, [0, 500, 1000, 2000, 60_000, 60_000]);
        assert!(restarts.check().unwrap_err().message().ends_with("60.0 s: it ended"));
        restarts.succeeded();
        assert!(restarts.check().is_ok());
    }
}
