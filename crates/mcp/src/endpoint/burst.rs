//! `Burst`: no rotation in the middle of a burst of requests.
//!
//! Some programs read the key, the secret and the token one by one, asking the endpoint each time. If the set changed
//! in between they would sign with parts of two sets. So requests that follow each other closely get the same set,
//! for a bounded time, as long as it works.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use valetkey_core::Credentials;

/// Requests closer than this belong to one burst.
const GAP: Duration = Duration::from_secs(1);
/// A burst holds an old set back at most this long.
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Burst(Mutex<Option<Held>>);

struct Held {
    credentials: Credentials,
    last_asked: Instant,
    /// When a newer set was first held back.
    superseded: Option<Instant>,
}

impl Burst {
    /// Chooses what to answer now that the account's current set is `current`.
    pub(super) fn choose(&self, current: Credentials, now: SystemTime) -> Credentials {
        let asked = Instant::now();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_mut()
            && held.holds_back(&current, asked, now)
        {
            held.superseded.get_or_insert(asked);
            held.last_asked = asked;
            return held.credentials.clone();
        }
        *held = Some(Held { credentials: current.clone(), last_asked: asked, superseded: None });
        current
    }

    /// Ends the burst.
    pub(super) fn settle(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Held {
    fn holds_back(&self, current: &Credentials, asked: Instant, now: SystemTime) -> bool {
        self.credentials.access_key_id() != current.access_key_id()
            && asked.duration_since(self.last_asked) < GAP
            && self.superseded.is_none_or(|since| asked.duration_since(since) < LONGEST)
            && !self.credentials.expiry().has_passed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use valetkey_core::testing::{Canary, ManualClock};
    use valetkey_core::{Clock, Expiry};

    fn set() -> Credentials {
        Canary::new().credentials(Expiry::Never).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotation_waits_for_the_end_of_a_burst_but_not_longer_than_five_seconds() {
        let (burst, old, new, now) = (Burst::default(), set(), set(), ManualClock::new().now());
        let answered = |chosen: Credentials| chosen.access_key_id() == old.access_key_id();
        assert!(answered(burst.choose(old.clone(), now)));
        for _ in 0..10 {
            advance(Duration::from_millis(500)).await;
            assert!(answered(burst.choose(new.clone(), now)));
        }
        advance(Duration::from_millis(500)).await;
        assert!(!answered(burst.choose(new.clone(), now)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_or_the_end_of_a_call_lets_the_new_set_through() {
        let (burst, old, new, now) = (Burst::default(), set(), set(), ManualClock::new().now());
        burst.choose(old.clone(), now);
        advance(GAP).await;
        assert_eq!(burst.choose(new.clone(), now).access_key_id(), new.access_key_id());
        burst.settle();
        assert_eq!(burst.choose(old.clone(), now).access_key_id(), old.access_key_id());
    }
}
