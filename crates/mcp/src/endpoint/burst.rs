//! `RotationHold`: defers rotation until the end of a burst of requests.
//!
//! Some programs read the key, the secret and the token separately, with one request to the endpoint for each. If the
//! credentials changed in between, such a program would sign with parts of two versions. Requests in close succession
//! therefore get the same credentials, for a bounded time and while these are valid. Only a renewal by the same
//! provider is deferred. Credentials that were cleared, rejected or replaced manually are never served again, because
//! the new ones may belong to a different principal.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::time::Instant;
use valetkey_core::{Credentials, CurrentCredentials};

/// Requests closer together than this belong to one burst.
const MAX_BURST_GAP: Duration = Duration::from_secs(1);
/// The longest time that a burst defers newer credentials.
const MAX_ROTATION_HOLD: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct RotationHold(Mutex<Option<HeldCredentials>>);

struct HeldCredentials {
    served: CurrentCredentials,
    last_request: Instant,
    /// When newer credentials were first held back.
    superseded_at: Option<Instant>,
}

impl RotationHold {
    /// Returns the credentials to serve while the account's current ones are `current`.
    pub(super) fn select(&self, current: CurrentCredentials, now: SystemTime) -> Credentials {
        let requested_at = Instant::now();
        let mut held = self.0.lock();
        if let Some(held) = held.as_mut()
            && held.should_hold(&current, requested_at, now)
        {
            held.superseded_at.get_or_insert(requested_at);
            held.last_request = requested_at;
            return held.served.credentials.clone();
        }
        // The hold keeps the clone, whose reference is counted: a thread can hold only eight uncounted `Credentials`.
        *held = Some(HeldCredentials {
            served: current.clone(),
            last_request: requested_at,
            superseded_at: None,
        });
        current.credentials
    }

    /// Ends the burst.
    pub(super) fn release(&self) {
        *self.0.lock() = None;
    }
}

impl HeldCredentials {
    fn should_hold(&self, current: &CurrentCredentials, requested_at: Instant, now: SystemTime) -> bool {
        current.id.is_renewal_of(self.served.id)
            && requested_at.duration_since(self.last_request) < MAX_BURST_GAP
            && self.superseded_at.is_none_or(|since| requested_at.duration_since(since) < MAX_ROTATION_HOLD)
            && !self.served.credentials.expiry().has_passed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use valetkey_core::testing::{Canary, ManualClock, Script, ScriptedProvider};
    use valetkey_core::{Clock, Expiry, SessionContext};

    fn canary_credentials() -> Credentials {
        Canary::new().credentials(Expiry::Never).unwrap()
    }

    /// A session whose provider issues different credentials at each fetch.
    async fn rotating_session() -> SessionContext {
        let provider = ScriptedProvider::new((0..4).map(|_| Script::Answer(canary_credentials())));
        let session = SessionContext::builder().provider(provider).build();
        session.credentials().await.unwrap();
        session
    }

    fn current_credentials(session: &SessionContext) -> CurrentCredentials {
        session.account(session.default_account()).unwrap().current().unwrap()
    }

    async fn refresh_and_get(session: &SessionContext) -> CurrentCredentials {
        session.refresh(session.default_account()).await.unwrap();
        current_credentials(session)
    }

    fn has_key_of(chosen: &Credentials, set: &CurrentCredentials) -> bool {
        chosen.access_key_id() == set.credentials.access_key_id()
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_during_burst_ends_after_max_hold() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        let (old, new) = (current_credentials(&session), refresh_and_get(&session).await);
        assert!(has_key_of(&burst.select(old.clone(), now), &old));
        for _ in 0..10 {
            advance(Duration::from_millis(500)).await;
            assert!(has_key_of(&burst.select(new.clone(), now), &old));
        }
        advance(Duration::from_millis(500)).await;
        assert!(has_key_of(&burst.select(new.clone(), now), &new));
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_after_gap_or_release_selects_current() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        let (old, new) = (current_credentials(&session), refresh_and_get(&session).await);
        burst.select(old.clone(), now);
        advance(MAX_BURST_GAP).await;
        assert!(has_key_of(&burst.select(new.clone(), now), &new));
        burst.release();
        burst.select(old.clone(), now);
        burst.release();
        assert!(has_key_of(&burst.select(new.clone(), now), &new));
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_cleared_credentials_are_not_held() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        burst.select(current_credentials(&session), now);
        session.clear();
        session.set_credentials(canary_credentials()).unwrap();
        let after = current_credentials(&session);
        assert!(has_key_of(&burst.select(after.clone(), now), &after));
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_manually_set_credentials_replace_held_at_once() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        burst.select(current_credentials(&session), now);
        session.set_credentials(canary_credentials()).unwrap();
        let after = current_credentials(&session);
        assert!(has_key_of(&burst.select(after.clone(), now), &after));
    }

    #[tokio::test(start_paused = true)]
    async fn rotation_hold_rejected_credentials_are_not_held() {
        let (burst, session, now) =
            (RotationHold::default(), rotating_session().await, ManualClock::new().now());
        let rejected = current_credentials(&session);
        burst.select(rejected.clone(), now);
        session.mark_rejected_for(session.default_account(), rejected.credentials.access_key_id());
        let after = refresh_and_get(&session).await;
        assert!(has_key_of(&burst.select(after.clone(), now), &after));
    }
}
