//! `Burst`: no rotation in the middle of a burst of requests.
//!
//! Some programs read the key, the secret and the token one by one, asking the endpoint each time. If the set changed
//! in between they would sign with parts of two sets. So requests that follow each other closely get the same set,
//! for a bounded time, as long as it works. A set that was withdrawn is never held back for: clearing is at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use valetkey_core::{Credentials, Generation};

/// Requests closer than this belong to one burst.
const GAP: Duration = Duration::from_secs(1);
/// A burst holds an old set back at most this long.
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Burst(Mutex<Option<Held>>);

/// A set, and its number within its account.
#[derive(Clone)]
pub(super) struct Numbered {
    pub(super) credentials: Credentials,
    pub(super) generation: Generation,
}

struct Held {
    set: Numbered,
    last_asked: Instant,
    /// When a newer set was first held back.
    superseded: Option<Instant>,
}

impl Burst {
    /// Chooses what to answer now that the account's current set is `current`.
    pub(super) fn choose(&self, current: Numbered, now: SystemTime) -> Credentials {
        let asked = Instant::now();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_mut()
            && held.holds_back(&current, asked, now)
        {
            held.superseded.get_or_insert(asked);
            held.last_asked = asked;
            return held.set.credentials.clone();
        }
        let chosen = current.credentials.clone();
        *held = Some(Held { set: current, last_asked: asked, superseded: None });
        chosen
    }

    /// Ends the burst.
    pub(super) fn settle(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Held {
    /// Clearing counts as a generation of its own, so a set that was cleared is never the one just before.
    fn holds_back(&self, current: &Numbered, asked: Instant, now: SystemTime) -> bool {
        current.generation.get() == self.set.generation.get() + 1
            && asked.duration_since(self.last_asked) < GAP
            && self.superseded.is_none_or(|since| asked.duration_since(since) < LONGEST)
            && !self.set.credentials.expiry().has_passed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use valetkey_core::testing::{Canary, ManualClock};
    use valetkey_core::{Clock, Expiry, SessionContext};

    /// Three sets of one session, one after the other; before the third it was cleared.
    fn sets() -> [Numbered; 3] {
        let session = SessionContext::builder().build();
        let next = || {
            let credentials = Canary::new().credentials(Expiry::Never).unwrap();
            Numbered { generation: session.set_credentials(credentials.clone()).unwrap(), credentials }
        };
        let (first, second) = (next(), next());
        session.clear();
        [first, second, next()]
    }

    fn is(chosen: &Credentials, set: &Numbered) -> bool {
        chosen.access_key_id() == set.credentials.access_key_id()
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotation_waits_for_the_end_of_a_burst_but_not_longer_than_five_seconds() {
        let (burst, [old, new, _], now) = (Burst::default(), sets(), ManualClock::new().now());
        assert!(is(&burst.choose(old.clone(), now), &old));
        for _ in 0..10 {
            advance(Duration::from_millis(500)).await;
            assert!(is(&burst.choose(new.clone(), now), &old));
        }
        advance(Duration::from_millis(500)).await;
        assert!(is(&burst.choose(new.clone(), now), &new));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_or_the_end_of_a_call_lets_the_new_set_through() {
        let (burst, [old, new, _], now) = (Burst::default(), sets(), ManualClock::new().now());
        burst.choose(old.clone(), now);
        advance(GAP).await;
        assert!(is(&burst.choose(new.clone(), now), &new));
        burst.choose(old.clone(), now);
        burst.settle();
        assert!(is(&burst.choose(new.clone(), now), &new));
    }

    #[tokio::test(start_paused = true)]
    async fn a_set_that_was_cleared_is_not_held_on_to_in_any_burst() {
        let (burst, [_, cleared, after], now) = (Burst::default(), sets(), ManualClock::new().now());
        burst.choose(cleared, now);
        assert!(is(&burst.choose(after.clone(), now), &after));
    }
}
