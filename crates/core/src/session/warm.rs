//! `keep_warm`: a future, driven by its owner, that refreshes ahead of need.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;

use super::SessionContext;
use super::family::Member;
use super::surroundings::Surroundings;

/// The longest sleep: a suspended machine or a jumping clock is noticed within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The shortest: a clock that stands still, or a set that is born stale, does not make the loop spin.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

impl SessionContext {
    /// Refreshes this session's accounts as they enter the advisory window, until the session ends. While the future
    /// is alive and polled, nobody who asks for credentials in that window waits or fetches. Accounts that were never
    /// asked for are left alone. Spawn it, or select over it: it holds no handle and does not keep the session alive.
    pub fn keep_warm(&self) -> impl Future<Output = ()> + Send + 'static {
        let session = Arc::downgrade(self.member());
        let presence = Presence::new(Arc::clone(&self.member().surroundings));
        async move {
            let presence = presence;
            loop {
                // Listens before it looks: a change in between is not missed.
                let changed = presence.0.changed.notified();
                match refresh_due(&session).await {
                    None => break,
                    Some(Pause::Fixed) => tokio::time::sleep(SHORTEST_SLEEP).await,
                    Some(Pause::UntilChanged(longest)) => {
                        let _either = tokio::time::timeout(longest, changed).await;
                    }
                }
            }
        }
    }
}

enum Pause {
    /// Something was refreshed: its own announcement is no reason to look again.
    Fixed,
    UntilChanged(Duration),
}

/// Refreshes what is due, and says how long to sleep; `None` once the session has ended.
async fn refresh_due(session: &Weak<Member>) -> Option<Pause> {
    let member = session.upgrade().filter(|member| !member.is_closed())?;
    let now = member.surroundings.now();
    let (due, later): (Vec<_>, Vec<_>) = member
        .own_slots()
        .into_iter()
        .filter_map(|slot| slot.due_at().map(|at| (slot, at)))
        .partition(|(_, at)| *at <= now);
    drop(member);
    if due.is_empty() {
        let next = later.iter().filter_map(|(_, at)| at.duration_since(now).ok()).min();
        return Some(Pause::UntilChanged(next.unwrap_or(LONGEST_SLEEP).clamp(SHORTEST_SLEEP, LONGEST_SLEEP)));
    }
    // A failure is remembered by the account and told to whoever asks for credentials.
    join_all(due.iter().map(|(slot, _)| slot.refresh())).await;
    Some(Pause::Fixed)
}

/// Counts a warmer while it lives.
struct Presence(Arc<Surroundings>);

impl Presence {
    fn new(surroundings: Arc<Surroundings>) -> Self {
        surroundings.warmers.fetch_add(1, Ordering::AcqRel);
        Self(surroundings)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.warmers.fetch_sub(1, Ordering::AcqRel);
    }
}
