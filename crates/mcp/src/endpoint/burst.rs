//! `Burst`: no rotation in the middle of a burst of requests.
//!
//! Some programs read the key, the secret and the token one by one, asking the endpoint each time. If the set changed
//! in between they would sign with parts of two sets. So requests that follow each other closely get the same set,
//! for a bounded time, as long as it works. Only a renewal by the same provider waits: what was cleared, rejected or
//! replaced by hand is never answered again, for the new set may be somebody else's.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use valetkey_core::{Credentials, ServedSet};

/// Requests closer than this belong to one burst.
const GAP: Duration = Duration::from_secs(1);
/// A burst holds an old set back at most this long.
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Burst(Mutex<Option<Held>>);

struct Held {
    set: ServedSet,
    last_asked: Instant,
    /// When a newer set was first held back.
    superseded: Option<Instant>,
}

impl Burst {
    /// Chooses what to answer now that the account's current set is `current`.
    pub(super) fn choose(&self, current: ServedSet, now: SystemTime) -> Credentials {
        let asked = Instant::now();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_mut()
            && held.holds_back(&current, asked, now)
        {
            held.superseded.get_or_insert(asked);
            held.last_asked = asked;
            return held.set.credentials.clone();
        }
        // What is kept is the clone, which is counted: a thread holds few sets uncounted.
        *held = Some(Held { set: current.clone(), last_asked: asked, superseded: None });
        current.credentials
    }

    /// Ends the burst.
    pub(super) fn settle(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Held {
    fn holds_back(&self, current: &ServedSet, asked: Instant, now: SystemTime) -> bool {
        current.id.renews(self.set.id)
            && asked.duration_since(self.last_asked) < GAP
            && self.superseded.is_none_or(|since| asked.duration_since(since) < LONGEST)
            && !self.set.credentials.expiry().has_passed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use valetkey_core::testing::{Canary, ManualClock, Script, ScriptedProvider};
    use valetkey_core::{Clock, Expiry, SessionContext};

    fn canary() -> Credentials {
        Canary::new().credentials(Expiry::Never).unwrap()
    }

    /// A session whose provider issues another set each time.
    async fn session() -> SessionContext {
        let provider = ScriptedProvider::new((0..4).map(|_| Script::Answer(canary())));
        let session = SessionContext::builder().provider(provider).build();
        session.credentials().await.unwrap();
        session
    }

    fn served(session: &SessionContext) -> ServedSet {
        session.account(session.default_account()).unwrap().served().unwrap()
    }

    async fn rotated(session: &SessionContext) -> ServedSet {
        session.refresh(session.default_account()).await.unwrap();
        served(session)
    }

    fn is(chosen: &Credentials, set: &ServedSet) -> bool {
        chosen.access_key_id() == set.credentials.access_key_id()
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotation_waits_for_the_end_of_a_burst_but_not_longer_than_five_seconds() {
        let (burst, session, now) = (Burst::default(), session().await, ManualClock::new().now());
        let (old, new) = (served(&session), rotated(&session).await);
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
        let (burst, session, now) = (Burst::default(), session().await, ManualClock::new().now());
        let (old, new) = (served(&session), rotated(&session).await);
        burst.choose(old.clone(), now);
        advance(GAP).await;
        assert!(is(&burst.choose(new.clone(), now), &new));
        burst.settle();
        burst.choose(old.clone(), now);
        burst.settle();
        assert!(is(&burst.choose(new.clone(), now), &new));
    }

    #[tokio::test(start_paused = true)]
    async fn a_set_that_was_cleared_is_not_held_on_to_in_any_burst() {
        let (burst, session, now) = (Burst::default(), session().await, ManualClock::new().now());
        burst.choose(served(&session), now);
        session.clear();
        session.set_credentials(canary()).unwrap();
        let after = served(&session);
        assert!(is(&burst.choose(after.clone(), now), &after));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_set_by_hand_may_be_somebody_elses_and_is_answered_at_once() {
        let (burst, session, now) = (Burst::default(), session().await, ManualClock::new().now());
        burst.choose(served(&session), now);
        session.set_credentials(canary()).unwrap();
        let after = served(&session);
        assert!(is(&burst.choose(after.clone(), now), &after));
    }

    #[tokio::test(start_paused = true)]
    async fn a_set_that_was_reported_rejected_is_not_held_on_to() {
        let (burst, session, now) = (Burst::default(), session().await, ManualClock::new().now());
        let rejected = served(&session);
        burst.choose(rejected.clone(), now);
        session.report_rejected(session.default_account(), rejected.credentials.access_key_id());
        let after = rotated(&session).await;
        assert!(is(&burst.choose(after.clone(), now), &after));
    }
}
