//! When a server that keeps ending may be started again.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// After this many failures in a row, only the longest pause is tried.
const CIRCUIT: u32 = 5;

/// Failures in a row, and the pause they cost: doubling from half a second, a minute from the fifth on.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    failures: u32,
    not_before: Option<Instant>,
}

impl Restarts {
    pub(super) fn failed(&mut self) {
        self.failures += 1;
        let pause = if self.failures >= CIRCUIT { LONGEST } else { FIRST * 2_u32.pow(self.failures - 1) };
        self.not_before = Some(Instant::now() + pause);
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// How long a start must still wait; `None` when it may be tried now.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.not_before?.checked_duration_since(Instant::now()).filter(|pause| !pause.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_and_end_at_a_minute_and_success_forgets() {
        let mut restarts = Restarts::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            restarts.failed();
            pauses.push(restarts.pause().unwrap().as_millis());
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 60_000, 60_000]);
        restarts.succeeded();
        assert_eq!(restarts.pause(), None);
    }
}
