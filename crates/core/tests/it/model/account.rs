//! One account as the rules have it: what it holds, whether it asks upstream, what it tells.

use std::time::{Duration, SystemTime};

use valetkey_core::ErrorKind;

use super::source::Source;

const MINUTE: Duration = Duration::from_secs(60);
const MAX_AGE: Duration = Duration::from_secs(15 * 60);
/// The shortest and the longest hold, in seconds: while the set in hand has time left, and otherwise.
const LONG: (u64, u64) = (300, 600);
const SHORT: (u64, u64) = (1, 5);

const NEEDS_PERSON: ErrorKind = ErrorKind::InteractionRequired;

#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) number: u64,
    issued_at: SystemTime,
    pub(super) expires_at: Option<SystemTime>,
    /// Seen expired, or reported rejected: never again, whatever the clock says.
    pub(super) dead: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Freshness {
    Fresh,
    /// Fresh or advisory, as the session's jitter has it.
    Either,
    Advisory,
    Mandatory,
    Expired,
}

impl Held {
    pub(super) fn new(number: u64, issued_at: SystemTime, expires_at: Option<SystemTime>) -> Self {
        Self { number, issued_at, expires_at, dead: false }
    }

    pub(super) fn freshness(&self, now: SystemTime) -> Freshness {
        let (earliest, latest) = self.advisory();
        if self.dead || self.expires_at.is_some_and(|at| at <= now) {
            Freshness::Expired
        } else if self.mandatory().is_some_and(|at| at <= now) {
            Freshness::Mandatory
        } else if latest <= now {
            Freshness::Advisory
        } else if earliest <= now {
            Freshness::Either
        } else {
            Freshness::Fresh
        }
    }

    /// When the advisory window opens, at the earliest and at the latest.
    fn advisory(&self) -> (SystemTime, SystemTime) {
        let Some(expires_at) = self.expires_at else {
            return (self.issued_at + MAX_AGE * 9 / 10, self.issued_at + MAX_AGE);
        };
        let life = self.life();
        let window = match life.as_secs().div_ceil(60) {
            _ if life < 10 * MINUTE => life / 4,
            0..=20 => 5 * MINUTE,
            21..90 => 15 * MINUTE,
            _ => 60 * MINUTE,
        };
        let opens = |window: Duration| self.not_before_interval(expires_at - window);
        (opens(window * 11 / 10), opens(window))
    }

    fn mandatory(&self) -> Option<SystemTime> {
        Some(self.not_before_interval(self.expires_at? - MINUTE.min(self.life() / 4)))
    }

    fn life(&self) -> Duration {
        self.expires_at.and_then(|at| at.duration_since(self.issued_at).ok()).unwrap_or_default()
    }

    /// No two successful fetches within half a minute, or a quarter of the lifetime.
    fn not_before_interval(&self, opens: SystemTime) -> SystemTime {
        let second = Duration::from_secs(1);
        opens.max(self.issued_at + (MINUTE / 2).min((self.life() / 4).max(second)))
    }
}

/// The smallest step: an edge belongs to the staler side.
pub(super) const TICK: Duration = Duration::from_nanos(1);

/// Whether upstream is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    No,
    Perhaps,
    Yes,
}

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) provider: Option<(usize, Source)>,
    pub(super) held: Option<Held>,
    /// By hand.
    pub(super) set: bool,
    pub(super) dormant: bool,
    pub(super) closed: bool,
    pub(super) epoch: u64,
    pub(super) generation: u64,
    failure: Option<(SystemTime, ErrorKind)>,
}

impl Account {
    /// What is told without upstream, and whether upstream is asked instead.
    pub(super) fn next(&mut self, now: SystemTime) -> (Asks, Result<u64, ErrorKind>) {
        if let Some(error) = self.out_of_order() {
            return (Asks::No, Err(error));
        }
        if !self.set
            && let Some((asks, kind)) = self.remembered(now)
        {
            return (asks, Err(kind));
        }
        let Some(freshness) = self.look(now) else {
            let person = self.needs_person();
            let asks = if person { self.held_back(SHORT, now) } else { Asks::Yes };
            return (asks, Err(if person { NEEDS_PERSON } else { ErrorKind::NotConfigured }));
        };
        let asks = if self.set { Asks::No } else { self.asks(freshness, now) };
        (asks, self.told_or_expired())
    }

    /// As [`next`](Self::next), for a refresh that is asked for.
    pub(super) fn next_refresh(&self, now: SystemTime) -> (Asks, ErrorKind) {
        match self.out_of_order() {
            Some(error) => (Asks::No, error),
            None if self.set => (Asks::No, ErrorKind::NotConfigured),
            None => self.remembered(now).unwrap_or((Asks::Yes, ErrorKind::NotConfigured)),
        }
    }

    fn out_of_order(&self) -> Option<ErrorKind> {
        let nobody = !self.set && (self.dormant || self.provider.is_none());
        match (self.closed, nobody) {
            (true, _) => Some(ErrorKind::Closed),
            (_, true) => Some(ErrorKind::NotConfigured),
            _ => None,
        }
    }

    /// A permanent failure that is, or may be, still remembered.
    fn remembered(&self, now: SystemTime) -> Option<(Asks, ErrorKind)> {
        let (_, kind) = self.failure.filter(|(_, kind)| is_permanent(*kind))?;
        match self.held_back(SHORT, now) {
            Asks::Yes => None,
            asks => Some((asks, kind)),
        }
    }

    fn asks(&self, freshness: Freshness, now: SystemTime) -> Asks {
        match freshness {
            Freshness::Fresh => Asks::No,
            Freshness::Either if self.held_back(LONG, now) == Asks::No => Asks::No,
            Freshness::Either => Asks::Perhaps,
            Freshness::Advisory => self.held_back(LONG, now),
            Freshness::Mandatory if self.needs_person() => self.held_back(LONG, now),
            Freshness::Mandatory | Freshness::Expired => self.held_back(SHORT, now),
        }
    }

    /// Whether a hold of at least and at most so many seconds lets anybody ask. A clock that jumped back lifts it.
    fn held_back(&self, (least, most): (u64, u64), now: SystemTime) -> Asks {
        let since = self.failure.and_then(|(at, _)| now.duration_since(at).ok());
        match since {
            Some(since) if since < Duration::from_secs(least) => Asks::No,
            Some(since) if since < Duration::from_secs(most) => Asks::Perhaps,
            _ => Asks::Yes,
        }
    }

    /// How fresh the set in hand is. What is seen expired stays so.
    pub(super) fn look(&mut self, now: SystemTime) -> Option<Freshness> {
        let held = self.held.as_mut()?;
        let freshness = held.freshness(now);
        held.dead |= freshness == Freshness::Expired;
        Some(freshness)
    }

    /// The set in hand if it may be served, as it was last looked at; else that.
    pub(super) fn told(&self, otherwise: ErrorKind) -> Result<u64, ErrorKind> {
        self.held.filter(|held| !held.dead).map(|held| held.number).ok_or(otherwise)
    }

    fn told_or_expired(&self) -> Result<u64, ErrorKind> {
        self.told(if self.needs_person() && !self.set { NEEDS_PERSON } else { ErrorKind::Expired })
    }

    fn needs_person(&self) -> bool {
        self.failure.is_some_and(|(_, kind)| kind == NEEDS_PERSON)
    }

    pub(super) fn publish(&mut self, held: Held) {
        self.generation += 1;
        self.failure = None;
        self.held = Some(held);
    }

    /// Remembers a failure, and tells what those are told who waited with `in_hand`.
    pub(super) fn fail(
        &mut self,
        kind: ErrorKind,
        in_hand: Option<u64>,
        now: SystemTime,
    ) -> Result<u64, ErrorKind> {
        self.failure = Some((now, kind));
        if is_permanent(kind) && self.held.is_some() {
            self.withdraw();
        }
        let covered = in_hand.is_some() && self.held.map(|held| held.number) == in_hand;
        self.look(now);
        if covered { self.told_or_expired() } else { Err(kind) }
    }

    /// The instants at which something changes, or may change.
    pub(super) fn edges(&self) -> Vec<SystemTime> {
        let held = self.held.iter().flat_map(|held| {
            let (earliest, latest) = held.advisory();
            [earliest, latest].into_iter().chain(held.mandatory()).chain(held.expires_at)
        });
        let lifted = self.failure.iter().flat_map(|(at, _)| {
            [SHORT.0, SHORT.1, LONG.0, LONG.1].map(|seconds| *at + Duration::from_secs(seconds))
        });
        held.chain(lifted).collect()
    }

    fn withdraw(&mut self) {
        self.generation += 1;
        self.held = None;
    }

    /// Voids what is under way and forgets failures.
    pub(super) fn renew(&mut self) {
        self.epoch += 1;
        self.failure = None;
    }

    /// What a provider issued is void.
    pub(super) fn void(&mut self) {
        if !self.set {
            self.renew();
            if self.held.is_some() {
                self.withdraw();
            }
        }
    }

    pub(super) fn wipe(&mut self, for_good: bool) {
        self.renew();
        self.withdraw();
        self.set = false;
        self.dormant = true;
        self.closed |= for_good;
    }
}

fn is_permanent(kind: ErrorKind) -> bool {
    !kind.is_transient() && !matches!(kind, ErrorKind::Internal | ErrorKind::Expired | NEEDS_PERSON)
}
