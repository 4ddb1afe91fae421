//! `ProcessQuota`: limits how many server processes run at once, and selects the idle process that makes room for
//! another one; `CallCounter`: the calls in progress on a process, a server or a group of servers, and since when there
//! are none.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use valetkey_core::{Error, ErrorKind, Principal, Result, SessionId};

/// How long a start waits for room: longer than the grace periods of a process that is stopped.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum numbers of server processes that run at once.
///
/// # Examples
/// ```
/// use valetkey_mcp::ProcessLimits;
///
/// let mut limits = ProcessLimits::default();
/// limits.per_session = 8;
/// assert_eq!((limits.per_principal, limits.total), (128, 256));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessLimits {
    /// Of one session, with the sessions that were narrowed from it (default: 64).
    pub per_session: usize,
    /// Of all sessions of one principal (default: 128). Sessions without a principal have no such limit.
    pub per_principal: usize,
    /// Of all hosts that share the quota (default: 256).
    pub total: usize,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self { per_session: 64, per_principal: 128, total: 256 }
    }
}

/// Counts the server processes of all hosts that share it, and limits them. A clone refers to the same quota.
///
/// A process counts from its start until it has exited, so one that was replaced and finishes its calls counts too. At a
/// limit, a start stops a process without a call in progress, whose server starts again at its next call:
///
/// | limit | process that makes room |
/// |---|---|
/// | of a session | the least recently used one of the session |
/// | of a principal | the least recently used one of the principal, never one of another principal |
/// | in total | the least recently used one of the principal that has the most processes |
///
/// While every process in question is busy, the start waits. After 10 seconds it is refused as `Throttled`.
///
/// # Examples
/// ```
/// use valetkey_core::SessionContext;
/// use valetkey_mcp::{McpConfig, McpHost, ProcessLimits, ProcessQuota};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> valetkey_core::Result<()> {
/// # let sessions = [SessionContext::builder().build(), SessionContext::builder().build()];
/// // Two hosts whose servers have at most 20 processes together.
/// let mut limits = ProcessLimits::default();
/// limits.total = 20;
/// let quota = ProcessQuota::new(limits);
/// for session in &sessions {
///     let host = McpHost::builder(session, McpConfig::default()).process_quota(quota.clone()).start().await?;
/// }
/// assert_eq!(quota.running(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ProcessQuota(Arc<QuotaInner>);

#[derive(Default)]
struct QuotaInner {
    limits: ProcessLimits,
    slots: Mutex<Vec<Arc<SlotState>>>,
    /// Notified when a slot is free again, and when a process becomes idle.
    changed: Arc<Notify>,
}

/// The session that starts processes, as the quota counts them.
#[derive(Clone)]
pub(crate) struct ProcessOwner {
    pub(crate) quota: ProcessQuota,
    pub(crate) session: SessionId,
    pub(crate) principal: Option<Principal>,
}

/// The place of one process. Dropped when the process has exited.
pub(super) struct ProcessSlot {
    quota: Arc<QuotaInner>,
    state: Arc<SlotState>,
}

struct SlotState {
    session: SessionId,
    principal: Option<Principal>,
    /// The calls in progress on the process. Its start counts as one.
    calls: Arc<CallCounter>,
    /// Fires when the process is to stop, or is stopping for another reason.
    stopping: CancellationToken,
}

impl ProcessQuota {
    /// Creates a quota that no process uses yet.
    #[must_use]
    pub fn new(limits: ProcessLimits) -> Self {
        Self(Arc::new(QuotaInner { limits, ..QuotaInner::default() }))
    }

    /// Returns the number of processes, and of connections to remote servers, including those that are starting or
    /// stopping.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.slots.lock().len()
    }
}

impl ProcessOwner {
    /// Returns a slot for a process, after a process has made room if necessary. Cancel safe.
    ///
    /// # Errors
    /// `Throttled` when no process has made room in time.
    pub(super) async fn acquire(&self) -> Result<ProcessSlot> {
        let deadline = Instant::now() + ROOM_TIMEOUT;
        loop {
            let mut changed = pin!(self.quota.0.changed.notified());
            // Registered before the attempt, so that a change after it is noticed.
            changed.as_mut().enable();
            let limit = match self.try_acquire() {
                Ok(slot) => return Ok(slot),
                Err(limit) => limit,
            };
            if timeout_at(deadline, changed).await.is_err() {
                let message = format!("{limit} server processes may run at once, and all are busy");
                return Err(Error::new(ErrorKind::Throttled, message)
                    .with_next_step("call again when other calls have ended"));
            }
        }
    }

    /// Returns a slot. Otherwise requests an idle process to make room, and returns the limit.
    fn try_acquire(&self) -> std::result::Result<ProcessSlot, usize> {
        let mut slots = self.quota.0.slots.lock();
        let ProcessLimits { per_session, per_principal, total } = self.quota.0.limits;
        let of_session = |slot: &SlotState| slot.session == self.session;
        let of_principal = |slot: &SlotState| self.principal.is_some() && slot.principal == self.principal;
        make_room(&slots, per_session, of_session)?;
        make_room(&slots, per_principal, of_principal)?;
        make_room(&slots, total, |_| true)?;
        let state = Arc::new(SlotState {
            session: self.session,
            principal: self.principal.clone(),
            calls: Arc::new(CallCounter::with_notify(Arc::clone(&self.quota.0.changed))),
            stopping: CancellationToken::new(),
        });
        state.calls.begin();
        slots.push(Arc::clone(&state));
        Ok(ProcessSlot { quota: Arc::clone(&self.quota.0), state })
    }
}

/// Checks that fewer than `limit` of the slots in question are taken. Otherwise requests one of their processes to stop,
/// unless one is stopping or all are busy, and returns the limit.
fn make_room(
    slots: &[Arc<SlotState>],
    limit: usize,
    is_counted: impl Fn(&SlotState) -> bool,
) -> std::result::Result<(), usize> {
    let counted: Vec<_> = slots.iter().filter(|slot| is_counted(slot)).collect();
    if counted.len() < limit {
        return Ok(());
    }
    let idle = || counted.iter().filter(|slot| slot.calls.is_idle());
    if idle().any(|slot| slot.stopping.is_cancelled()) {
        return Err(limit);
    }
    let mut by_principal: HashMap<_, usize> = HashMap::new();
    for slot in &counted {
        *by_principal.entry(&slot.principal).or_default() += 1;
    }
    let most = idle().filter_map(|slot| by_principal.get(&slot.principal)).max();
    let candidates = idle().filter(|slot| by_principal.get(&slot.principal) == most);
    if let Some(victim) = candidates.min_by_key(|slot| slot.calls.last_used()) {
        victim.stopping.cancel();
    }
    Err(limit)
}

impl ProcessSlot {
    /// The counter of the calls on this process.
    pub(super) fn calls(&self) -> Arc<CallCounter> {
        Arc::clone(&self.state.calls)
    }

    /// Records that the process has started: it may make room for another one from now on.
    pub(super) fn mark_started(&self) {
        self.state.calls.end();
    }

    /// Records that the process is stopping. A start that needs room waits for it.
    pub(super) fn mark_stopping(&self) {
        self.state.stopping.cancel();
    }

    /// Waits until the process is to stop. Cancel safe.
    pub(super) async fn wait_evicted(&self) {
        self.state.stopping.cancelled().await;
    }
}

impl Drop for ProcessSlot {
    fn drop(&mut self) {
        self.quota.slots.lock().retain(|slot| !Arc::ptr_eq(slot, &self.state));
        self.quota.changed.notify_waiters();
    }
}

impl fmt::Debug for ProcessQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessQuota")
            .field("limits", &self.0.limits)
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

/// Counts the calls in progress. Beginning and ending a call wakes only what waits for the end of the last one.
pub(crate) struct CallCounter {
    activity: Mutex<Activity>,
    /// Notified when the last call in progress ends.
    idle: Arc<Notify>,
}

/// The calls in progress at one time.
#[derive(Debug, Clone, Copy)]
struct Activity {
    calls: usize,
    /// When the last call ended, or when the counter was created.
    last_used: Instant,
}

impl Activity {
    fn is_idle(self) -> bool {
        self.calls == 0
    }
}

impl Default for CallCounter {
    fn default() -> Self {
        Self::with_notify(Arc::default())
    }
}

impl CallCounter {
    /// Creates a counter that notifies `idle` whenever the last call in progress ends.
    pub(super) fn with_notify(idle: Arc<Notify>) -> Self {
        Self { activity: Mutex::new(Activity { calls: 0, last_used: Instant::now() }), idle }
    }

    /// Counts a call until [`end`](Self::end), and returns whether it is the only one.
    pub(crate) fn begin(&self) -> bool {
        let mut activity = self.activity.lock();
        activity.calls += 1;
        activity.calls == 1
    }

    pub(crate) fn end(&self) {
        let is_idle = {
            let mut activity = self.activity.lock();
            activity.calls -= 1;
            activity.last_used = Instant::now();
            activity.is_idle()
        };
        if is_idle {
            self.idle.notify_waiters();
        }
    }

    /// Counts a call until the returned guard is dropped.
    pub(super) fn enter(&self) -> ActiveCall<'_> {
        self.begin();
        ActiveCall(self)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.activity.lock().is_idle()
    }

    /// Returns when the last call ended.
    pub(super) fn last_used(&self) -> Instant {
        self.activity.lock().last_used
    }

    /// Waits until no call is in progress. Cancel safe.
    pub(crate) async fn wait_idle(&self) {
        loop {
            let mut notified = pin!(self.idle.notified());
            // Registered before the check, so that an end after it is noticed.
            notified.as_mut().enable();
            if self.is_idle() {
                return;
            }
            notified.await;
        }
    }

    /// Waits until no call was in progress for `timeout`. Cancel safe: a later call of this function continues the
    /// same period.
    pub(crate) async fn wait_unused(&self, timeout: Duration) {
        loop {
            let current = *self.activity.lock();
            let unused_at = current.last_used + timeout;
            if !current.is_idle() {
                self.wait_idle().await;
            } else if Instant::now() < unused_at {
                // Calls meanwhile are noticed afterwards, so that no call wakes this task.
                sleep_until(unused_at).await;
            } else {
                return;
            }
        }
    }
}

/// A call in progress.
pub(super) struct ActiveCall<'a>(&'a CallCounter);

impl Drop for ActiveCall<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::{advance, timeout};

    use super::*;

    fn owner(quota: &ProcessQuota, principal: &str) -> ProcessOwner {
        let (session, principal) = (SessionId::random(), principal.parse().ok());
        ProcessOwner { quota: quota.clone(), session, principal }
    }

    fn quota(per_session: usize, per_principal: usize, total: usize) -> ProcessQuota {
        ProcessQuota::new(ProcessLimits { per_session, per_principal, total })
    }

    /// Returns the slot of a process that has started at a time of its own.
    async fn started(owner: &ProcessOwner) -> ProcessSlot {
        advance(Duration::from_secs(1)).await;
        let slot = owner.acquire().await.unwrap();
        slot.mark_started();
        slot
    }

    fn is_evicted(slot: &ProcessSlot) -> bool {
        slot.wait_evicted().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn process_quota_evicts_least_recently_used_idle() {
        let quota = quota(3, 9, 9);
        let alice = owner(&quota, "alice");
        let (busy, oldest, newest) = (started(&alice).await, started(&alice).await, started(&alice).await);
        let calls = busy.calls();
        let _call = calls.enter();
        let mut waiting = pin!(alice.acquire());
        assert!(waiting.as_mut().now_or_never().is_none(), "it waits until the process has exited");
        assert_eq!([&busy, &oldest, &newest].map(is_evicted), [false, true, false]);
        drop(oldest);
        let _slot = waiting.await.unwrap();
        assert_eq!(quota.running(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn process_quota_with_busy_processes_waits_and_refuses() {
        let quota = quota(1, 9, 9);
        let alice = owner(&quota, "alice");
        let starting = alice.acquire().await.unwrap();
        assert_eq!(alice.acquire().await.err().unwrap().kind(), ErrorKind::Throttled);
        let mut waiting = pin!(alice.acquire());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(!is_evicted(&starting), "its start is not interrupted");
        starting.mark_started();
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(is_evicted(&starting), "it is idle now");
        drop(starting);
        drop(waiting.await.unwrap());
        assert_eq!(quota.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn process_quota_of_principal_spares_other_principals() {
        let quota = quota(9, 2, 9);
        let bobs = started(&owner(&quota, "bob")).await;
        let (first, second) =
            (started(&owner(&quota, "alice")).await, started(&owner(&quota, "alice")).await);
        assert!(owner(&quota, "alice").acquire().now_or_never().is_none());
        assert_eq!([&bobs, &first, &second].map(is_evicted), [false, true, false], "of another own session");
        drop(first);
        drop(owner(&quota, "alice").acquire().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn process_quota_in_total_evicts_from_the_largest() {
        let quota = quota(9, 9, 3);
        let bobs = started(&owner(&quota, "bob")).await;
        let alice = owner(&quota, "alice");
        let (first, second) = (started(&alice).await, started(&alice).await);
        assert!(owner(&quota, "carol").acquire().now_or_never().is_none());
        assert_eq!([&bobs, &first, &second].map(is_evicted), [false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn process_quota_with_process_that_never_stops_refuses() {
        let quota = quota(1, 9, 9);
        let alice = owner(&quota, "alice");
        let _kept = started(&alice).await;
        assert_eq!(alice.acquire().await.err().unwrap().kind(), ErrorKind::Throttled);
    }

    #[tokio::test(start_paused = true)]
    async fn call_counter_call_defers_the_idle_time() {
        let (calls, idle) = (CallCounter::default(), Duration::from_secs(60));
        advance(Duration::from_secs(50)).await;
        let call = calls.enter();
        let mut unused = pin!(calls.wait_unused(idle));
        assert!(timeout(idle * 10, &mut unused).await.is_err(), "a call is in progress");
        drop(call);
        assert!(timeout(Duration::from_secs(59), &mut unused).await.is_err());
        // Another future continues the period in which the first one waited.
        assert!(timeout(Duration::from_secs(2), calls.wait_unused(idle)).await.is_ok());
    }
}
