//! `Entry`: one session of a registry, when it was last used, and how many calls are in flight.

#[cfg(all(test, valetkey_loom))]
mod model;

use std::sync::atomic::Ordering;

use super::SessionHandle;
use super::builder::Limits;
use super::monotonic_clock::Moment;
use crate::sync::AtomicU64;
use crate::{Principal, SessionContext};

/// One session and the value that is kept beside it.
///
/// The index owns the entry, and each guard shares it. When the last reference is dropped, the session is closed
/// and then the value is dropped, so the value may hold what depends on the session.
pub(super) struct Entry<T> {
    pub(super) handle: SessionHandle,
    pub(super) principal: Principal,
    pub(super) session: SessionContext,
    pub(super) value: T,
    pub(super) activity: Activity,
    expires_at: Moment,
    idle_nanos: u64,
}

/// The calls of a session: how many are in flight, and when the last one ended. Whether a session is retired (removed
/// for good because it was not in use) is part of the same word as the count, so that a call either starts before the
/// session is retired, or not at all. The word also counts the calls that were ever started, so that a session is not
/// retired for what its last use was before a call that started and ended meanwhile. Model-checked in `entry/model.rs`.
pub(super) struct Activity {
    /// The calls in flight in the lower half, the calls started in the upper half; or [`RETIRED`].
    calls: AtomicU64,
    last_used: AtomicU64,
}

const RETIRED: u64 = u64::MAX;
const STARTED: u64 = 1 << 32;
const IN_FLIGHT: u64 = STARTED - 1;

/// The state of a session at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryState {
    Active,
    /// No call ended within the idle time. The session is removed unless a call is in flight.
    Idle,
    /// Its lifetime has passed. The session is no longer found, and is removed when no call is in flight.
    Expired,
    /// The session was closed directly and can be removed at once.
    Closed,
}

impl<T> Entry<T> {
    /// An entry with one call in flight: the one that opened the session.
    pub(super) fn new(
        principal: Principal,
        session: SessionContext,
        value: T,
        limits: &Limits,
        now: Moment,
    ) -> Self {
        Self {
            handle: SessionHandle::random(),
            principal,
            session,
            value,
            activity: Activity::new(now),
            expires_at: now.saturating_add(limits.lifetime_nanos()),
            idle_nanos: limits.idle_nanos(),
        }
    }

    /// Runs no user code, since it is called under the lock of the index.
    pub(super) fn state(&self, now: Moment) -> EntryState {
        if self.session.is_closed_unchecked() {
            EntryState::Closed
        } else if self.expires_at <= now {
            EntryState::Expired
        } else if self.activity.last_used().saturating_add(self.idle_nanos) <= now {
            EntryState::Idle
        } else {
            EntryState::Active
        }
    }

    /// Returns whether [`try_start_call`](Self::try_start_call) would start a call at `now`.
    pub(super) fn accepts_calls(&self, now: Moment) -> bool {
        match self.state(now) {
            EntryState::Active => true,
            EntryState::Idle => self.activity.in_use(),
            EntryState::Expired | EntryState::Closed => false,
        }
    }

    /// Starts a call unless the session has ended.
    pub(super) fn try_start_call(&self, now: Moment) -> bool {
        match self.state(now) {
            EntryState::Active => self.activity.start(),
            EntryState::Idle => self.activity.start_beside_another(),
            EntryState::Expired | EntryState::Closed => false,
        }
    }

    /// Retires the session if its time is up and no call is in flight, or if it was closed directly.
    pub(super) fn retire_if_ended(&self, now: Moment) -> bool {
        let is_over = || matches!(self.state(now), EntryState::Idle | EntryState::Expired);
        self.state(now) == EntryState::Closed || self.activity.retire_if(is_over)
    }
}

/// Closes the session if nothing else did, such as a sweep that was cancelled after it had removed the entry.
impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        self.session.close_quietly();
    }
}

impl Activity {
    /// The activity of a session with one call in flight.
    pub(super) fn new(now: Moment) -> Self {
        Self { calls: AtomicU64::new(STARTED + 1), last_used: AtomicU64::new(now) }
    }

    pub(super) fn last_used(&self) -> Moment {
        self.last_used.load(Ordering::Acquire)
    }

    /// Returns whether a call is in flight. False for a retired session, even if it was retired during a call.
    pub(super) fn in_use(&self) -> bool {
        is_in_use(self.calls.load(Ordering::Acquire))
    }

    /// Starts a call unless the session is retired.
    pub(super) fn start(&self) -> bool {
        self.start_if(|calls| calls != RETIRED)
    }

    /// Starts a call if another one is in flight: an idle session is in use for as long as that call takes.
    pub(super) fn start_beside_another(&self) -> bool {
        self.start_if(is_in_use)
    }

    /// Adds one call to both halves of the word in one step, if `may_start` accepts the word.
    fn start_if(&self, may_start: impl Fn(u64) -> bool) -> bool {
        let add = |calls: u64| may_start(calls).then(|| calls.wrapping_add(STARTED + 1));
        self.calls.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    /// Ends a call. The idle time starts when the last call in flight ends.
    pub(super) fn end(&self, now: Moment) {
        self.last_used.store(now, Ordering::Release);
        // A retired session stays retired: it was closed while calls were in flight.
        let subtract = |calls: u64| is_in_use(calls).then(|| calls - 1);
        let _retired = self.calls.fetch_update(Ordering::AcqRel, Ordering::Acquire, subtract);
    }

    /// Retires the session if no call is in flight, `is_over` returns true, and no call started while it ran.
    pub(super) fn retire_if(&self, is_over: impl FnOnce() -> bool) -> bool {
        let calls = self.calls.load(Ordering::Acquire);
        calls & IN_FLIGHT == 0
            && is_over()
            && self.calls.compare_exchange(calls, RETIRED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Retires the session although calls may be in flight.
    pub(super) fn retire(&self) {
        self.calls.store(RETIRED, Ordering::Release);
    }
}

/// Returns whether the word counts a call in flight.
fn is_in_use(calls: u64) -> bool {
    calls != RETIRED && calls & IN_FLIGHT > 0
}
