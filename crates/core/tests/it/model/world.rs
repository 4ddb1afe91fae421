//! Operations, done to the sessions and to the model of them, and the two compared.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use valetkey_core::testing::ManualClock;
use valetkey_core::{Alias, Clock, Credentials, Error, ErrorKind, Expiry, SessionContext};

use super::account::{Asks, Held, TICK};
use super::family::Families;
use super::source::{Gate, Source, Upstream};
use super::{ALIASES, Change, Instant, Operation, Overlay};
use crate::bench::{builder, number, numbered};

/// What was told: the number of a set, or the kind of an error.
type Told = Result<u64, ErrorKind>;

/// The numbers of sets that are given by hand are below those of all sources.
const BY_HAND: std::ops::Range<u64> = 1..1_000_000;

pub(super) struct World {
    clock: ManualClock,
    gate: Gate,
    families: Families,
    /// Each source, how often it was asked when the operation began, and the account that is derived from, if any.
    sources: Vec<(Source, u64, Option<usize>)>,
    by_hand: std::ops::Range<u64>,
}

fn alias(index: usize) -> Alias {
    ALIASES[index].parse().unwrap()
}

fn told(answer: Result<Credentials, Error>) -> Told {
    answer.map(|set| number(&set)).map_err(|error| error.kind())
}

/// Nothing here waits but for the gate.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("every source answers at once")
}

impl World {
    pub(super) fn new() -> Self {
        let clock = ManualClock::new();
        let gate = Gate::default();
        let families = Families::default();
        let mut world = Self { clock, gate, families, sources: Vec::new(), by_hand: BY_HAND };
        world.open();
        world
    }

    pub(super) fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Open => self.open(),
            Operation::Child { of, overlay } => self.child(self.member(of), &overlay),
            Operation::Get(member, alias) => self.get(self.member(member), alias),
            Operation::Visit(member, alias, upstream, instants) => {
                self.visit(self.member(member), alias, upstream, &instants);
            }
            Operation::During(member, alias, change) => self.during(self.member(member), alias, change),
            Operation::Refresh(member, alias) => self.refresh(self.member(member), alias),
            Operation::Look(member) => self.look(self.member(member)),
            Operation::Behave { source, upstream } => {
                self.sources[source % self.sources.len()].0.behave(upstream);
            }
            Operation::Change(member, change) => self.change(self.member(member), change),
        }
        self.nobody_else_was_asked();
    }

    pub(super) fn look_at_all(&mut self) {
        for member in 0..self.families.members.len() {
            self.look(member);
            (0..ALIASES.len()).for_each(|alias| self.get(member, alias));
        }
    }

    fn member(&self, any: usize) -> usize {
        any % self.families.members.len()
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn session(&self, member: usize) -> Option<SessionContext> {
        self.families.members[member].session.clone()
    }

    fn open(&mut self) {
        let source = self.source(None);
        let session = builder(&self.clock).provider(source.1.clone()).build();
        let member = self.families.take_in(session, None);
        self.families.born_with(member, source);
    }

    fn child(&mut self, of: usize, overlay: &Overlay) {
        let Some(parent) = self.session(of) else { return };
        match overlay {
            Overlay::Set { minutes } => {
                let (set, held) = self.set_by_hand(*minutes);
                let child = parent.with_credentials(set);
                assert_eq!(child.is_err(), self.families.members[of].closed);
                if let Ok(child) = child {
                    let member = self.families.take_in(child, Some(of));
                    self.families.set(member, 0, held);
                }
            }
            Overlay::Provider => {
                let source = self.source(None);
                let child = parent.with_provider(source.1.clone());
                assert_eq!(child.is_err(), self.families.members[of].closed);
                if let Ok(child) = child {
                    let member = self.families.take_in(child, Some(of));
                    self.families.born_with(member, source);
                }
            }
        }
    }

    /// A new source, which works with that account if there is one.
    fn source(&mut self, of: Option<(usize, usize)>) -> (usize, Source) {
        let index = self.sources.len();
        let signer = of.map(|(member, _)| self.families.members[member].lent.clone());
        let source = Source::new(index, &self.clock, &self.gate, signer);
        self.sources.push((source.clone(), 0, of.map(|(_, account)| account)));
        (index, source)
    }

    fn set_by_hand(&mut self, minutes: u64) -> (Credentials, Held) {
        let number = self.by_hand.next().unwrap();
        let expires_at = self.now() + Duration::from_secs(60 * minutes);
        (numbered(number, Expiry::At(expires_at)), Held::new(number, self.now(), Some(expires_at)))
    }

    fn get(&mut self, member: usize, index: usize) {
        let Some(session) = self.session(member) else {
            let ended = told(at_once(self.families.members[member].lent.credentials()));
            assert_eq!(ended, Err(ErrorKind::Closed), "the last handle was dropped");
            return;
        };
        let answer = at_once(session.credentials_for(&alias(index)));
        if let Ok(set) = &answer {
            assert!(!set.expiry().has_passed(self.now()), "nothing that has expired is served");
        }
        let expected = match self.families.find(member, index) {
            Ok(account) => self.foretell(account),
            Err(kind) => Err(kind),
        };
        assert_eq!(told(answer), expected);
    }

    fn visit(&mut self, member: usize, index: usize, upstream: Upstream, instants: &[Instant]) {
        let account = self.families.find(member, index).ok();
        if let Some((_, source)) =
            account.and_then(|account| self.families.accounts[account].provider.as_ref())
        {
            source.behave(upstream);
        }
        for instant in instants {
            self.advance_to(member, index, *instant);
            self.get(member, index);
        }
    }

    /// What a caller is told, now that it is seen whom the session asked.
    fn foretell(&mut self, account: usize) -> Told {
        let now = self.now();
        let (asks, told) = self.families.accounts[account].next(now);
        if !self.asked(account, asks) {
            return told;
        }
        let in_hand = self.families.accounts[account].held.map(|held| held.number);
        self.conclude(account, in_hand)
    }

    /// Whether the account asked its source, which is checked against whether it may.
    fn asked(&mut self, account: usize, asks: Asks) -> bool {
        let source = self.families.accounts[account].provider.as_ref().map(|(index, _)| *index);
        let Some((source, before, _)) = source.map(|index| &mut self.sources[index]) else {
            return false;
        };
        let asked = asks != Asks::No && source.calls() > *before;
        assert!(asked || asks != Asks::Yes, "upstream is to be asked");
        *before += u64::from(asked);
        asked
    }

    /// A fetch ends: what those are told who waited with `in_hand`.
    fn conclude(&mut self, account: usize, in_hand: Option<u64>) -> Told {
        let now = self.now();
        let answer = self.answer(account);
        let account = &mut self.families.accounts[account];
        match answer {
            Ok(held) => {
                account.publish(held);
                Ok(held.number)
            }
            Err(kind) => account.fail(kind, in_hand, now),
        }
    }

    /// What the account's source answers now.
    fn answer(&mut self, account: usize) -> Result<Held, ErrorKind> {
        let (index, source) = self.families.accounts[account].provider.clone().unwrap();
        if let Some(signer) = self.sources[index].2 {
            self.foretell(signer)?;
        }
        let (now, issued) = (self.now(), |expires_at| Held::new(source.last(), self.now(), expires_at));
        match source.upstream() {
            Upstream::Issues { minutes } => Ok(issued(Some(now + Duration::from_secs(60 * minutes)))),
            Upstream::IssuesForEver => Ok(issued(None)),
            Upstream::IssuesExpired => Err(ErrorKind::Unavailable),
            Upstream::Fails(kind) => Err(kind),
        }
    }

    /// Each call upstream was one that the rules ask for, or leave open.
    fn nobody_else_was_asked(&self) {
        for (index, (source, known, _)) in self.sources.iter().enumerate() {
            assert_eq!(source.calls(), *known, "source {index} was asked more often than it may be");
        }
    }

    /// Only of a source that waits for nobody but the gate.
    fn during(&mut self, member: usize, index: usize, change: Change) {
        let plain = self.families.find(member, index).ok().filter(|account| {
            let provider = self.families.accounts[*account].provider.as_ref();
            provider.is_none_or(|(index, _)| self.sources[*index].2.is_none())
        });
        let (Some(account), Some(session)) = (plain, self.session(member)) else { return };
        let Ok(lent) = session.account(&alias(index)) else { return };
        drop(session);
        self.gate.close(true);
        let mut caller = pin!(lent.credentials());
        let first = poll(caller.as_mut());
        let now = self.now();
        let (asks, otherwise) = self.families.accounts[account].next(now);
        let asked = self.asked(account, asks);
        assert_eq!(first.is_pending(), asked, "who asks waits, and nobody else");
        let (epoch, in_hand) = {
            let account = &self.families.accounts[account];
            (account.epoch, account.held.map(|held| held.number))
        };
        self.change(member, change);
        self.gate.close(false);
        let (answer, expected) = match first {
            Poll::Ready(answer) => (answer, otherwise),
            Poll::Pending => {
                let Poll::Ready(answer) = poll(caller.as_mut()) else { panic!("the gate is open") };
                let void = self.families.accounts[account].epoch != epoch;
                let told = if void { self.foretell(account) } else { self.conclude(account, in_hand) };
                (answer, self.still_told(member, index, account, told))
            }
        };
        assert_eq!(told(answer), expected, "after a change while upstream was asked");
    }

    /// What is told through a session in the end: it may have lost the account that it waited for, or got its own.
    fn still_told(&mut self, member: usize, index: usize, waited_for: usize, told: Told) -> Told {
        match self.families.find(member, index)? {
            account if account == waited_for => told,
            account => self.foretell(account),
        }
    }

    fn refresh(&mut self, member: usize, index: usize) {
        let Some(session) = self.session(member) else { return };
        let answer = at_once(session.refresh(&alias(index)));
        let now = self.now();
        let expected = self.families.find(member, index).and_then(|account| {
            let (asks, error) = self.families.accounts[account].next_refresh(now);
            if !self.asked(account, asks) {
                return Err(error);
            }
            self.conclude(account, None)?;
            Ok(self.families.accounts[account].generation)
        });
        assert_eq!(answer.map(|generation| generation.get()).map_err(|error| error.kind()), expected);
    }

    /// Everything that a session shows of itself is what the model has of it.
    fn look(&mut self, member: usize) {
        let Some(session) = self.session(member) else { return };
        let now = self.now();
        assert_eq!(session.is_closed(), self.families.members[member].closed);
        for index in 0..ALIASES.len() {
            let (lent, account) = (session.account(&alias(index)), self.families.find(member, index));
            assert_eq!(lent.as_ref().map(drop).map_err(Error::kind), account.map(drop));
            let (Ok(lent), Ok(account)) = (lent, account) else { continue };
            let served = lent.served().map(|served| number(&served.credentials));
            assert_eq!(served, self.families.look(account, now));
            let generation = lent.rotations().unwrap().current().get();
            assert_eq!(generation, self.families.accounts[account].generation);
        }
    }

    fn change(&mut self, member: usize, change: Change) {
        match change {
            Change::Advance { seconds } => self.clock.advance(Duration::from_secs(seconds)),
            Change::JumpBack { seconds } => self.clock.jump_back(Duration::from_secs(seconds)),
            Change::AdvanceTo { alias, instant } => self.advance_to(member, alias, instant),
            Change::Drop => {
                self.families.members[member].session = None;
                self.families.end(member, true);
            }
            change => {
                if let Some(session) = self.session(member) {
                    self.change_session(member, &session, &change);
                }
            }
        }
    }

    fn change_session(&mut self, member: usize, session: &SessionContext, change: &Change) {
        let closed = self.families.members[member].closed;
        match *change {
            Change::Set { alias: index, minutes } => {
                let (set, held) = self.set_by_hand(minutes);
                assert_eq!(session.set_credentials_for(&alias(index), set).is_err(), closed);
                if !closed {
                    self.families.set(member, index, held);
                }
            }
            Change::Provider { alias: index, derived } => {
                let own = self.families.own(member, 0).filter(|_| derived && index > 0);
                let source = self.source(own.map(|account| (member, account)));
                assert_eq!(session.set_provider_for(&alias(index), source.1.clone()).is_err(), closed);
                if !closed {
                    self.families.set_provider(member, index, source);
                }
            }
            Change::Reject { alias: index, held } => self.reject(member, session, index, held),
            Change::Clear => {
                session.clear();
                self.families.end(member, false);
            }
            Change::Close => {
                session.close();
                self.families.end(member, true);
            }
            Change::Drop | Change::Advance { .. } | Change::AdvanceTo { .. } | Change::JumpBack { .. } => {}
        }
    }

    fn advance_to(&self, member: usize, index: usize, Instant { edge, tick }: Instant) {
        let Ok(account) = self.families.find(member, index) else { return };
        let mut ahead = self.families.accounts[account].edges();
        ahead.retain(|edge| *edge > self.now() + TICK);
        let Some(edge) = ahead.get(edge % ahead.len().max(1)) else { return };
        let to = match tick {
            -1 => *edge - TICK,
            0 => *edge,
            _ => *edge + TICK,
        };
        self.clock.advance(to.duration_since(self.now()).unwrap());
    }

    fn reject(&mut self, member: usize, session: &SessionContext, index: usize, held: bool) {
        let Ok(account) = self.families.find(member, index) else { return };
        let number = self.families.accounts[account].held.filter(|_| held).map(|held| held.number);
        let rejected = numbered(number.unwrap_or(0), Expiry::Never);
        session.report_rejected(&alias(index), rejected.access_key_id());
        if number.is_some() {
            self.families.reject(account);
        }
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
