//! Operations, done to the sessions and to the model of them, and the two compared.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use valetkey_core::testing::ManualClock;
use valetkey_core::{AccountName, Clock, Credentials, Error, ErrorKind, Expiry, SessionContext};

use super::account::{Fetches, ModelCredentials, TICK};
use super::sessions::ModelSessions;
use super::source::{ModelProvider, ResponseLatch, UpstreamBehavior};
use super::{ACCOUNT_NAMES, Change, ChildOverride, Instant, Operation};
use crate::session_fixture::{builder, number, numbered};

/// The result of a call: the number of the credentials, or the kind of the error.
type CallResult = Result<u64, ErrorKind>;

/// The numbers of manually set credentials are below those of all sources.
const MANUAL_NUMBERS: std::ops::Range<u64> = 1..1_000_000;

pub(super) struct ModelFixture {
    clock: ManualClock,
    gate: ResponseLatch,
    model: ModelSessions,
    /// Each source, how often it was called when the operation began, and the account that is derived from, if any.
    sources: Vec<(ModelProvider, u64, Option<usize>)>,
    manual_numbers: std::ops::Range<u64>,
}

fn account_name(index: usize) -> AccountName {
    ACCOUNT_NAMES[index].parse().unwrap()
}

fn result(answer: Result<Credentials, Error>) -> CallResult {
    answer.map(|set| number(&set)).map_err(|error| error.kind())
}

/// Nothing here waits but for the gate.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("every source responds at once")
}

impl ModelFixture {
    pub(super) fn new() -> Self {
        let clock = ManualClock::new();
        let gate = ResponseLatch::default();
        let families = ModelSessions::default();
        let mut fixture =
            Self { clock, gate, model: families, sources: Vec::new(), manual_numbers: MANUAL_NUMBERS };
        fixture.open();
        fixture
    }

    pub(super) fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Open => self.open(),
            Operation::Child { parent: of, overlay } => self.open_child(self.session_index(of), &overlay),
            Operation::Fetch(member, alias) => self.check_fetch(self.session_index(member), alias),
            Operation::FetchAtInstants(member, alias, upstream, instants) => {
                self.check_fetch_at_instants(self.session_index(member), alias, upstream, &instants);
            }
            Operation::ChangeDuringFetch(member, alias, change) => {
                self.check_change_during_fetch(self.session_index(member), alias, change)
            }
            Operation::Refresh(member, alias) => self.check_refresh(self.session_index(member), alias),
            Operation::CheckVisibleState(member) => self.check_visible_state(self.session_index(member)),
            Operation::SetUpstream { source, upstream } => {
                self.sources[source % self.sources.len()].0.set_behavior(upstream);
            }
            Operation::Change(member, change) => self.apply_change(self.session_index(member), change),
        }
        self.assert_no_unexpected_calls();
    }

    pub(super) fn check_all(&mut self) {
        for member in 0..self.model.sessions.len() {
            self.check_visible_state(member);
            (0..ACCOUNT_NAMES.len()).for_each(|alias| self.check_fetch(member, alias));
        }
    }

    fn session_index(&self, any: usize) -> usize {
        any % self.model.sessions.len()
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn session(&self, member: usize) -> Option<SessionContext> {
        self.model.sessions[member].session.clone()
    }

    fn open(&mut self) {
        let source = self.add_provider(None);
        let session = builder(&self.clock).provider(source.1.clone()).build();
        let member = self.model.add_session(session, None);
        self.model.set_initial_provider(member, source);
    }

    fn open_child(&mut self, parent_index: usize, overlay: &ChildOverride) {
        let Some(parent) = self.session(parent_index) else { return };
        match overlay {
            ChildOverride::Credentials { minutes } => {
                let (set, held) = self.manual_credentials(*minutes);
                let child = parent.with_credentials(set);
                assert_eq!(child.is_err(), self.model.sessions[parent_index].closed);
                if let Ok(child) = child {
                    let member = self.model.add_session(child, Some(parent_index));
                    self.model.set_credentials(member, 0, held);
                }
            }
            ChildOverride::Provider => {
                let source = self.add_provider(None);
                let child = parent.with_provider(source.1.clone());
                assert_eq!(child.is_err(), self.model.sessions[parent_index].closed);
                if let Ok(child) = child {
                    let member = self.model.add_session(child, Some(parent_index));
                    self.model.set_initial_provider(member, source);
                }
            }
        }
    }

    /// A new source, which works with that account if there is one.
    fn add_provider(&mut self, of: Option<(usize, usize)>) -> (usize, ModelProvider) {
        let index = self.sources.len();
        let signer = of.map(|(member, _)| self.model.sessions[member].account.clone());
        let source = ModelProvider::new(index, &self.clock, &self.gate, signer);
        self.sources.push((source.clone(), 0, of.map(|(_, account)| account)));
        (index, source)
    }

    fn manual_credentials(&mut self, minutes: u64) -> (Credentials, ModelCredentials) {
        let number = self.manual_numbers.next().unwrap();
        let expires_at = self.now() + Duration::from_secs(60 * minutes);
        (
            numbered(number, Expiry::At(expires_at)),
            ModelCredentials::new(number, self.now(), Some(expires_at)),
        )
    }

    fn check_fetch(&mut self, member: usize, index: usize) {
        let Some(session) = self.session(member) else {
            let ended = result(at_once(self.model.sessions[member].account.credentials()));
            assert_eq!(ended, Err(ErrorKind::Closed), "the last handle was dropped");
            return;
        };
        let answer = at_once(session.for_account(&account_name(index)).credentials());
        if let Ok(set) = &answer {
            assert!(!set.expiry().has_passed(self.now()), "nothing that has expired is served");
        }
        let expected = match self.model.find_account(member, index) {
            Ok(account) => self.predict_result(account),
            Err(kind) => Err(kind),
        };
        assert_eq!(result(answer), expected);
    }

    fn check_fetch_at_instants(
        &mut self,
        member: usize,
        index: usize,
        upstream: UpstreamBehavior,
        instants: &[Instant],
    ) {
        let account = self.model.find_account(member, index).ok();
        if let Some((_, source)) = account.and_then(|account| self.model.accounts[account].provider.as_ref())
        {
            source.set_behavior(upstream);
        }
        for instant in instants {
            self.advance_to(member, index, *instant);
            self.check_fetch(member, index);
        }
    }

    /// The expected result of a call, given whether the session called the account's source.
    fn predict_result(&mut self, account: usize) -> CallResult {
        let now = self.now();
        let (fetches, without_fetch) = self.model.accounts[account].expected_fetch(now);
        if !self.check_fetched(account, fetches) {
            return without_fetch;
        }
        let current_number = self.model.accounts[account].current.map(|held| held.number);
        self.complete_fetch(account, current_number)
    }

    /// Whether the account called its source, which is checked against whether it may.
    fn check_fetched(&mut self, account: usize, fetches: Fetches) -> bool {
        let source = self.model.accounts[account].provider.as_ref().map(|(index, _)| *index);
        let Some((source, before, _)) = source.map(|index| &mut self.sources[index]) else {
            return false;
        };
        let called = fetches != Fetches::No && source.call_count() > *before;
        assert!(called || fetches != Fetches::Yes, "upstream must be called");
        *before += u64::from(called);
        called
    }

    /// Ends a fetch, and returns the result of the callers that waited while `current_number` was current.
    fn complete_fetch(&mut self, account: usize, current_number: Option<u64>) -> CallResult {
        let now = self.now();
        let answer = self.fetch_result(account);
        let account = &mut self.model.accounts[account];
        match answer {
            Ok(held) => {
                account.publish(held);
                Ok(held.number)
            }
            Err(kind) => account.record_failure(kind, current_number, now),
        }
    }

    /// What the account's source returns now.
    fn fetch_result(&mut self, account: usize) -> Result<ModelCredentials, ErrorKind> {
        let (index, source) = self.model.accounts[account].provider.clone().unwrap();
        if let Some(signer) = self.sources[index].2 {
            self.predict_result(signer)?;
        }
        let (now, issued) =
            (self.now(), |expires_at| ModelCredentials::new(source.last_number(), self.now(), expires_at));
        match source.behavior() {
            UpstreamBehavior::Issues { minutes } => Ok(issued(Some(now + Duration::from_secs(60 * minutes)))),
            UpstreamBehavior::IssuesUnexpiring => Ok(issued(None)),
            UpstreamBehavior::IssuesExpired => Err(ErrorKind::Unavailable),
            UpstreamBehavior::Fails(kind) => Err(kind),
        }
    }

    /// Each call upstream was one that the rules require or permit.
    fn assert_no_unexpected_calls(&self) {
        for (index, (source, known, _)) in self.sources.iter().enumerate() {
            assert_eq!(source.call_count(), *known, "source {index} was called more often than it may be");
        }
    }

    /// Only for a source that waits for nothing but the gate.
    fn check_change_during_fetch(&mut self, member: usize, index: usize, change: Change) {
        let plain = self.model.find_account(member, index).ok().filter(|account| {
            let provider = self.model.accounts[*account].provider.as_ref();
            provider.is_none_or(|(index, _)| self.sources[*index].2.is_none())
        });
        let (Some(account), Some(session)) = (plain, self.session(member)) else { return };
        let Ok(lent) = session.account(&account_name(index)) else { return };
        drop(session);
        self.gate.set_closed(true);
        let mut caller = pin!(lent.credentials());
        let first = poll(caller.as_mut());
        let now = self.now();
        let (fetches, otherwise) = self.model.accounts[account].expected_fetch(now);
        let fetched = self.check_fetched(account, fetches);
        assert_eq!(first.is_pending(), fetched, "a caller waits exactly when it fetches");
        let (epoch, current_number) = {
            let account = &self.model.accounts[account];
            (account.epoch, account.current.map(|held| held.number))
        };
        self.apply_change(member, change);
        self.gate.set_closed(false);
        let (answer, expected) = match first {
            Poll::Ready(answer) => (answer, otherwise),
            Poll::Pending => {
                let Poll::Ready(answer) = poll(caller.as_mut()) else { panic!("the gate is open") };
                let void = self.model.accounts[account].epoch != epoch;
                let result = if void {
                    self.predict_result(account)
                } else {
                    self.complete_fetch(account, current_number)
                };
                (answer, self.final_result(member, index, account, result))
            }
        };
        assert_eq!(result(answer), expected, "after a change while upstream was called");
    }

    /// The result that a session returns in the end: it may have lost the account that it waited for, or got its own.
    fn final_result(
        &mut self,
        member: usize,
        index: usize,
        waited_for: usize,
        result: CallResult,
    ) -> CallResult {
        match self.model.find_account(member, index)? {
            account if account == waited_for => result,
            account => self.predict_result(account),
        }
    }

    fn check_refresh(&mut self, member: usize, index: usize) {
        let Some(session) = self.session(member) else { return };
        let answer = at_once(session.for_account(&account_name(index)).refresh());
        let now = self.now();
        let expected = self.model.find_account(member, index).and_then(|account| {
            let (fetches, error) = self.model.accounts[account].expected_refresh(now);
            if !self.check_fetched(account, fetches) {
                return Err(error);
            }
            self.complete_fetch(account, None)?;
            Ok(self.model.accounts[account].generation)
        });
        assert_eq!(answer.map(|generation| generation.get()).map_err(|error| error.kind()), expected);
    }

    /// Everything that a session shows of itself is what the model has of it.
    fn check_visible_state(&mut self, member: usize) {
        let Some(session) = self.session(member) else { return };
        let now = self.now();
        assert_eq!(session.is_closed(), self.model.sessions[member].closed);
        for index in 0..ACCOUNT_NAMES.len() {
            let (lent, account) =
                (session.account(&account_name(index)), self.model.find_account(member, index));
            assert_eq!(lent.as_ref().map(drop).map_err(Error::kind), account.map(drop));
            let (Ok(lent), Ok(account)) = (lent, account) else { continue };
            let served = lent.current().map(|served| number(&served.credentials));
            assert_eq!(served, self.model.observe_current(account, now));
            let generation = lent.watch_rotations().unwrap().current().get();
            assert_eq!(generation, self.model.accounts[account].generation);
        }
    }

    fn apply_change(&mut self, member: usize, change: Change) {
        match change {
            Change::Advance { seconds } => self.clock.advance(Duration::from_secs(seconds)),
            Change::Rewind { seconds } => self.clock.rewind(Duration::from_secs(seconds)),
            Change::AdvanceTo { alias, instant } => self.advance_to(member, alias, instant),
            Change::Drop => {
                self.model.sessions[member].session = None;
                self.model.clear_or_close(member, true);
            }
            change => {
                if let Some(session) = self.session(member) {
                    self.apply_session_change(member, &session, &change);
                }
            }
        }
    }

    fn apply_session_change(&mut self, member: usize, session: &SessionContext, change: &Change) {
        let closed = self.model.sessions[member].closed;
        match *change {
            Change::Set { alias: index, minutes } => {
                let (set, held) = self.manual_credentials(minutes);
                assert_eq!(session.for_account(&account_name(index)).set_credentials(set).is_err(), closed);
                if !closed {
                    self.model.set_credentials(member, index, held);
                }
            }
            Change::Provider { alias: index, derived } => {
                let own = self.model.own_account(member, 0).filter(|_| derived && index > 0);
                let source = self.add_provider(own.map(|account| (member, account)));
                assert_eq!(
                    session.for_account(&account_name(index)).set_provider(source.1.clone()).is_err(),
                    closed
                );
                if !closed {
                    self.model.set_provider(member, index, source);
                }
            }
            Change::Reject { alias: index, current: held } => {
                self.mark_rejected(member, session, index, held)
            }
            Change::Clear => {
                session.clear();
                self.model.clear_or_close(member, false);
            }
            Change::Close => {
                session.close();
                self.model.clear_or_close(member, true);
            }
            Change::Drop | Change::Advance { .. } | Change::AdvanceTo { .. } | Change::Rewind { .. } => {}
        }
    }

    fn advance_to(&self, member: usize, index: usize, Instant { edge, tick }: Instant) {
        let Ok(account) = self.model.find_account(member, index) else { return };
        let mut ahead = self.model.accounts[account].edges();
        ahead.retain(|edge| *edge > self.now() + TICK);
        let Some(edge) = ahead.get(edge % ahead.len().max(1)) else { return };
        let to = match tick {
            -1 => *edge - TICK,
            0 => *edge,
            _ => *edge + TICK,
        };
        self.clock.advance(to.duration_since(self.now()).unwrap());
    }

    fn mark_rejected(&mut self, member: usize, session: &SessionContext, index: usize, held: bool) {
        let Ok(account) = self.model.find_account(member, index) else { return };
        let number = self.model.accounts[account].current.filter(|_| held).map(|held| held.number);
        let rejected = numbered(number.unwrap_or(0), Expiry::Never);
        session.for_account(&account_name(index)).mark_rejected(rejected.access_key_id());
        if number.is_some() {
            self.model.mark_rejected(account);
        }
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
