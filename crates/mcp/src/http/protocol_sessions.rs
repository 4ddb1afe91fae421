//! `ProtocolSessions`: the sessions of legacy clients, which are no more than records of their `initialize` requests.
//!
//! A record holds no credentials and no process, so that many idle clients cost little, and the end of a record ends
//! nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rmcp::model::{InitializeRequestParams, RequestId};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use valetkey_core::{Principal, SessionHandle};

use super::exchange::UNREAD_MESSAGES;
use crate::client::{Carrier, ChosenLevel, ClientProfile, PendingRequests, ServerMessage};
use crate::subscriptions::ClientSubscriptions;

/// A client that has been silent for this long initializes again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(12 * 60 * 60);

/// Limits on the number of records.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordLimits {
    pub(super) per_principal: usize,
    pub(super) total: usize,
}

/// The protocol session of one legacy client.
#[derive(Debug)]
pub(super) struct ProtocolSession {
    pub(super) id: SessionHandle,
    /// The parameters of `initialize`, with the negotiated version.
    pub(super) peer: InitializeRequestParams,
    /// What the client has declared.
    pub(super) profile: ClientProfile,
    pub(super) log_level: ChosenLevel,
    /// The requests of servers that the client has not responded to.
    pub(super) pending: PendingRequests,
    /// Fires when the session ends. Ends its streams and calls.
    pub(super) ended: CancellationToken,
    /// The number of responses and streams that the client reads.
    readers: AtomicUsize,
    /// Fires when the last of them ends. A watch channel would take a tenth of the memory of an idle session.
    last_reader_ended: Notify,
    /// The resources that the client has subscribed to.
    pub(super) subscriptions: ClientSubscriptions,
    state: Mutex<RecordState>,
}

/// The part of a record that changes.
///
/// Invariant: an entry of `calls` is removed by the [`RegisteredCall`] that added it, and by nothing else.
#[derive(Debug)]
struct RecordState {
    /// The credential session of calls that name none.
    credentials: Option<SessionHandle>,
    /// The calls in progress, by request id.
    calls: HashMap<RequestId, CancellationToken>,
    /// The open GET stream.
    stream: Option<OpenStream>,
    last_used: Instant,
}

/// The messages of a GET stream, which ends when this is dropped.
#[derive(Debug)]
struct OpenStream {
    messages: mpsc::Sender<ServerMessage>,
    _end: DropGuard,
}

type Records = HashMap<SessionHandle, Arc<ProtocolSession>>;

/// The records of all principals. A record is found only together with its principal.
#[derive(Debug)]
pub(super) struct ProtocolSessions {
    limits: RecordLimits,
    by_principal: Mutex<HashMap<Principal, Records>>,
}

impl ProtocolSessions {
    pub(super) fn new(limits: RecordLimits) -> Self {
        Self { limits, by_principal: Mutex::default() }
    }

    /// Opens a session. At the principal's limit, its least recently used session ends. Returns `None` when there is no
    /// room for another session of any principal.
    pub(super) fn open(
        &self,
        principal: &Principal,
        peer: InitializeRequestParams,
        profile: ClientProfile,
    ) -> Option<Arc<ProtocolSession>> {
        let mut by_principal = self.by_principal.lock();
        by_principal.retain(|_, records| {
            records.retain(|_, record| !record.end_if_idle());
            !records.is_empty()
        });
        let total: usize = by_principal.values().map(HashMap::len).sum();
        let own = by_principal.get(principal).map_or(0, HashMap::len);
        if total >= self.limits.total && own == 0 {
            return None;
        }
        let records = by_principal.entry(principal.clone()).or_default();
        if own >= self.limits.per_principal || total >= self.limits.total {
            end_least_recently_used(records);
        }
        let opened = Arc::new(ProtocolSession::new(peer, profile));
        records.insert(opened.id, Arc::clone(&opened));
        Some(opened)
    }

    /// Returns the session with this id if it belongs to `principal`.
    pub(super) fn find(&self, principal: &Principal, id: &SessionHandle) -> Option<Arc<ProtocolSession>> {
        let found = self.by_principal.lock().get(principal)?.get(id).cloned()?;
        if found.end_if_idle() {
            return None;
        }
        found.state.lock().last_used = Instant::now();
        Some(found)
    }

    /// Ends the sessions of the principals that are not kept.
    pub(super) fn retain(&self, is_kept: impl Fn(&Principal) -> bool) {
        self.by_principal.lock().retain(|principal, records| {
            let is_kept = is_kept(principal);
            if !is_kept {
                records.values().for_each(|record| record.ended.cancel());
            }
            is_kept
        });
    }

    /// Ends a session, with its streams and the calls whose results it was to receive. Credential sessions and
    /// processes remain. Returns whether `principal` had this session.
    pub(super) fn close(&self, principal: &Principal, id: &SessionHandle) -> bool {
        let mut by_principal = self.by_principal.lock();
        let Some(records) = by_principal.get_mut(principal) else { return false };
        let Some(closed) = records.remove(id) else { return false };
        if records.is_empty() {
            by_principal.remove(principal);
        }
        closed.ended.cancel();
        true
    }
}

/// Ends the record whose last use is the longest ago, even if a call is in progress on it: a principal at its limit
/// affects only its own clients.
fn end_least_recently_used(records: &mut Records) {
    let oldest = records.values().min_by_key(|record| record.state.lock().last_used).map(|record| record.id);
    if let Some(removed) = oldest.and_then(|id| records.remove(&id)) {
        removed.ended.cancel();
    }
}

impl ProtocolSession {
    fn new(peer: InitializeRequestParams, profile: ClientProfile) -> Self {
        let state =
            RecordState { credentials: None, calls: HashMap::new(), stream: None, last_used: Instant::now() };
        Self {
            id: SessionHandle::random(),
            peer,
            profile,
            log_level: ChosenLevel::default(),
            pending: PendingRequests::default(),
            ended: CancellationToken::new(),
            readers: AtomicUsize::new(0),
            last_reader_ended: Notify::new(),
            subscriptions: ClientSubscriptions::default(),
            state: Mutex::new(state),
        }
    }

    /// Ends the session if it has been idle for too long. A call in progress keeps it.
    fn end_if_idle(&self) -> bool {
        let state = self.state.lock();
        let is_idle = state.last_used.elapsed() >= IDLE_TIMEOUT && state.calls.is_empty();
        if is_idle {
            self.ended.cancel();
        }
        is_idle
    }

    /// Returns the credential session of calls that name none, if one was opened.
    pub(super) fn credentials(&self) -> Option<SessionHandle> {
        self.state.lock().credentials
    }

    /// Returns the credential session of calls that name none, which `open` opens at the first such call.
    pub(super) fn credentials_or_open<E>(
        &self,
        open: impl FnOnce() -> Result<SessionHandle, E>,
    ) -> Result<SessionHandle, E> {
        let mut state = self.state.lock();
        if let Some(handle) = state.credentials {
            return Ok(handle);
        }
        let handle = open()?;
        state.credentials = Some(handle);
        Ok(handle)
    }

    /// Forgets the credential session, so that the next call that names none opens another.
    pub(super) fn forget_credentials(&self, ended: SessionHandle) {
        let mut state = self.state.lock();
        if state.credentials == Some(ended) {
            state.credentials = None;
        }
    }

    /// Registers a call, which fires the returned token when it is cancelled. Returns `None` while another call has the
    /// same id.
    pub(super) fn begin_call(self: &Arc<Self>, id: RequestId) -> Option<RegisteredCall> {
        let cancelled = self.ended.child_token();
        let mut state = self.state.lock();
        if state.calls.contains_key(&id) {
            return None;
        }
        state.calls.insert(id.clone(), cancelled.clone());
        Some(RegisteredCall { session: Arc::clone(self), id, cancelled })
    }

    /// Cancels a call at the client's request.
    pub(super) fn cancel_call(&self, id: &RequestId) {
        if let Some(call) = self.state.lock().calls.get(id) {
            call.cancel();
        }
    }

    /// Opens the session's stream, which ends when this is called again. Returns its messages and the token of its end.
    pub(super) fn open_stream(&self) -> (mpsc::Receiver<ServerMessage>, CancellationToken) {
        let (messages, receiver) = mpsc::channel(UNREAD_MESSAGES);
        let stream = self.ended.child_token();
        self.state.lock().stream = Some(OpenStream { messages, _end: stream.clone().drop_guard() });
        (receiver, stream)
    }

    /// Queues a message for the stream of the session. Returns `None` if there is none, or it is not read.
    pub(super) fn try_send(&self, message: ServerMessage) -> Option<Carrier> {
        let state = self.state.lock();
        state.stream.as_ref()?.messages.try_send(message).ok().map(|()| Carrier::Session)
    }

    /// Registers a response or a stream that the client reads. `left` fires when the client leaves before its end.
    pub(super) fn begin_reading(self: &Arc<Self>, left: CancellationToken) -> Reader {
        self.readers.fetch_add(1, Ordering::AcqRel);
        Reader { session: Some(Arc::clone(self)), left: Some(left.drop_guard()) }
    }

    /// Waits until the session has ended, or the client reads no response and no stream. Cancel safe.
    pub(super) async fn unread(&self) {
        loop {
            // Registered before the check, so that no reader's end is missed.
            let last_reader_ended = self.last_reader_ended.notified();
            if self.readers.load(Ordering::Acquire) == 0 {
                return;
            }
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = last_reader_ended => {}
            }
        }
    }
}

/// A response or a stream that a client reads. It is dropped when it has ended or the client has left.
#[derive(Debug)]
pub(super) struct Reader {
    /// `None` for a client without a session.
    session: Option<Arc<ProtocolSession>>,
    left: Option<DropGuard>,
}

impl Reader {
    /// Returns the reader of a response to a client without a session. `left` fires when the client leaves before its
    /// end.
    pub(super) fn without_session(left: CancellationToken) -> Self {
        Self { session: None, left: Some(left.drop_guard()) }
    }

    /// Records that the client is sent the end of the response.
    pub(super) fn finish(&mut self) {
        self.left.take().map(DropGuard::disarm);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(session) = &self.session
            && session.readers.fetch_sub(1, Ordering::AcqRel) == 1
        {
            session.last_reader_ended.notify_waiters();
        }
    }
}

/// A call in progress.
#[derive(Debug)]
pub(super) struct RegisteredCall {
    session: Arc<ProtocolSession>,
    id: RequestId,
    pub(super) cancelled: CancellationToken,
}

impl Drop for RegisteredCall {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        state.calls.remove(&self.id);
        state.last_used = Instant::now();
    }
}

/// Returns a session that no other code knows.
#[cfg(test)]
pub(super) fn open_session() -> Arc<ProtocolSession> {
    Arc::new(ProtocolSession::new(InitializeRequestParams::default(), ClientProfile::default()))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    const LIMITS: RecordLimits = RecordLimits { per_principal: 2, total: 3 };

    fn principal(name: &str) -> Principal {
        name.parse().unwrap()
    }

    fn open(sessions: &ProtocolSessions, name: &str) -> Option<SessionHandle> {
        sessions
            .open(&principal(name), InitializeRequestParams::default(), ClientProfile::default())
            .map(|opened| opened.id)
    }

    #[test]
    fn protocol_session_of_another_principal_is_not_found() {
        let sessions = ProtocolSessions::new(LIMITS);
        let id = open(&sessions, "alice").unwrap();
        assert!(sessions.find(&principal("bob"), &id).is_none());
        assert!(!sessions.close(&principal("bob"), &id));
        assert!(sessions.find(&principal("alice"), &id).is_some());
        assert!(sessions.close(&principal("alice"), &id) && !sessions.close(&principal("alice"), &id));
    }

    #[tokio::test(start_paused = true)]
    async fn protocol_sessions_at_limit_end_own_oldest() {
        let sessions = ProtocolSessions::new(LIMITS);
        let oldest = open(&sessions, "alice").unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let newer = open(&sessions, "alice").unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(sessions.find(&principal("alice"), &oldest).is_some(), "used now");
        open(&sessions, "alice").unwrap();
        assert!(sessions.find(&principal("alice"), &newer).is_none());
        assert!(sessions.find(&principal("alice"), &oldest).is_some());
        open(&sessions, "bob").unwrap();
        assert!(
            open(&sessions, "carol").is_none(),
            "the total, and no other principal's session ends for it"
        );
        assert!(open(&sessions, "bob").is_some(), "which replaces an own one");
    }

    #[tokio::test(start_paused = true)]
    async fn protocol_session_idle_ends_unless_call_in_progress() {
        let sessions = ProtocolSessions::new(LIMITS);
        let (idle, busy) = (open(&sessions, "alice").unwrap(), open(&sessions, "bob").unwrap());
        let call = sessions.find(&principal("bob"), &busy).unwrap().begin_call(RequestId::Number(1));
        tokio::time::advance(IDLE_TIMEOUT).await;
        assert!(sessions.find(&principal("alice"), &idle).is_none());
        assert!(sessions.find(&principal("bob"), &busy).is_some());
        drop(call);
        tokio::time::advance(IDLE_TIMEOUT).await;
        assert!(sessions.find(&principal("bob"), &busy).is_none());
    }

    fn open_session(sessions: &ProtocolSessions) -> Arc<ProtocolSession> {
        let (peer, profile) = (InitializeRequestParams::default(), ClientProfile::default());
        sessions.open(&principal("alice"), peer, profile).unwrap()
    }

    #[tokio::test]
    async fn protocol_session_is_unread_without_readers() {
        let sessions = ProtocolSessions::new(LIMITS);
        let session = open_session(&sessions);
        let (left, stream) = (CancellationToken::new(), CancellationToken::new());
        let readers = (session.begin_reading(left.clone()), session.begin_reading(stream.clone()));
        assert_eq!(session.unread().now_or_never(), None);
        drop(readers.0);
        assert!(left.is_cancelled() && !stream.is_cancelled());
        let mut unread = pin!(session.unread());
        assert_eq!(unread.as_mut().now_or_never(), None, "a stream is read");
        drop(readers.1);
        assert_eq!(unread.now_or_never(), Some(()), "one that waits is woken");
        assert_eq!(session.unread().now_or_never(), Some(()));
        let _reader = session.begin_reading(CancellationToken::new());
        sessions.close(&principal("alice"), &session.id);
        assert_eq!(session.unread().now_or_never(), Some(()), "the session has ended");
    }

    #[test]
    fn protocol_session_second_stream_ends_first() {
        let sessions = ProtocolSessions::new(LIMITS);
        let session = open_session(&sessions);
        let (_, first) = session.open_stream();
        let (_, second) = session.open_stream();
        assert!(first.is_cancelled() && !second.is_cancelled());
        sessions.close(&principal("alice"), &session.id);
        assert!(second.is_cancelled());
    }
}
