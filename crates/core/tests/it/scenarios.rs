//! The refresh rules as a table: every row, and the edges between rows, in words and in figures.
//!
//! A scenario is a session that was given one set, and steps. Each step moves the clock, says what upstream does, lets
//! a herd of callers ask, and tells what they see. Each scenario is played many times, since every session draws its
//! own jitter and every failure its own hold: what is expected must hold for all of them.

mod clocks;
mod lasting;
mod permanent;
mod person;
mod refresh;
mod rejected;
mod stage;
mod transient;
mod unending;
mod warm;
mod windows;

use std::ops::{Add, Sub};
use std::time::Duration;

use valetkey_core::{ErrorKind, RefreshPolicy};

use stage::Stage;

/// How many ask at each step.
const HERD: usize = 5;
/// How many sessions play each scenario.
const SESSIONS: usize = 24;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// The smallest step of the table: an edge belongs to the staler side, and this long before it is the fresher one.
const TICK: Duration = Duration::from_nanos(1);

struct Scenario {
    name: String,
    given: Given,
    steps: Vec<Step>,
}

fn scenario(name: impl Into<String>, given: Given, steps: impl Into<Vec<Step>>) -> Scenario {
    Scenario { name: name.into(), given, steps: steps.into() }
}

async fn play(table: impl IntoIterator<Item = Scenario>) {
    for Scenario { name, given, steps } in table {
        for _ in 0..SESSIONS {
            let stage = Stage::set(&given).await;
            for (number, step) in steps.iter().enumerate() {
                let seen = stage.act(step).await;
                assert_eq!(seen, step.seen, "{name}: step {number}, {:?}", step.when);
            }
        }
    }
}

/// What a session starts from: set 1, or nothing.
#[derive(Clone)]
struct Given {
    set: Set,
    max_age: Option<Duration>,
    kept_warm: bool,
    policy: RefreshPolicy,
}

#[derive(Clone, Copy)]
enum Set {
    Nothing,
    Lasting(Duration),
    Unending,
}

/// Set 1, good for `life`; what upstream issues later is good for as long.
fn lasting(life: Duration) -> Given {
    given(Set::Lasting(life))
}

/// Set 1, without expiry.
fn unending() -> Given {
    given(Set::Unending)
}

/// Nothing was ever fetched.
fn nothing() -> Given {
    given(Set::Nothing)
}

fn given(set: Set) -> Given {
    Given { set, max_age: None, kept_warm: false, policy: RefreshPolicy::default() }
}

impl Given {
    fn kept_warm(self) -> Self {
        Self { kept_warm: true, ..self }
    }

    fn policy(self, policy: RefreshPolicy) -> Self {
        Self { policy, ..self }
    }

    fn serving_expired(self) -> Self {
        self.policy(RefreshPolicy::default().serve_expired(true))
    }

    /// The age after which the source of the set would be asked again.
    fn aging_after(self, age: Duration) -> Self {
        Self { max_age: Some(age), ..self }
    }
}

/// An instant that the rules name.
#[derive(Debug, Clone, Copy)]
enum Edge {
    /// Set 1 was issued, or the session opened.
    Issue,
    /// The advisory window of set 1 opens, as this session's jitter has it: to the nanosecond.
    Advisory,
    /// One minute before set 1 expires.
    Mandatory,
    Expiry,
    /// Upstream was last asked.
    Attempt,
    Now,
}

use Edge::{Advisory, Attempt, Expiry, Issue, Mandatory, Now};

/// An edge, and how many nanoseconds after it.
#[derive(Debug, Clone, Copy)]
struct When(Edge, i64);

impl From<Edge> for When {
    fn from(edge: Edge) -> Self {
        Self(edge, 0)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap()
}

impl Add<Duration> for Edge {
    type Output = When;

    fn add(self, after: Duration) -> When {
        When(self, nanos(after))
    }
}

impl Sub<Duration> for Edge {
    type Output = When;

    fn sub(self, before: Duration) -> When {
        When(self, 0) - before
    }
}

impl Sub<Duration> for When {
    type Output = When;

    fn sub(self, before: Duration) -> When {
        When(self.0, self.1 - nanos(before))
    }
}

/// What upstream does.
#[derive(Debug, Clone, Copy)]
enum Upstream {
    /// Answers with the next set.
    Issues,
    /// Answers with the next set, which is good for this long; for no time at all, it has already expired.
    IssuesFor(Duration),
    /// Fails with this kind.
    Fails(ErrorKind),
    Panics,
    /// Never answers.
    Hangs,
}

use Upstream::{Fails, Hangs, Issues, IssuesFor, Panics};

const DOWN: Upstream = Fails(ErrorKind::Unavailable);
const REFUSES: Upstream = Fails(ErrorKind::Denied);
const NEEDS_PERSON: Upstream = Fails(ErrorKind::InteractionRequired);

/// What happens just before the herd asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A service rejects the set that is served.
    Rejected,
    /// Somebody asks for a refresh, and waits.
    Refresh,
}

struct Step {
    when: When,
    herd: usize,
    before: Before,
    upstream: Upstream,
    seen: Seen,
}

/// At this moment, with upstream like this, the herd sees that.
fn at(when: impl Into<When>, upstream: Upstream, seen: Seen) -> Step {
    Step { when: when.into(), herd: HERD, before: Before::Nothing, upstream, seen }
}

/// As [`at`], while a refresh that somebody asked for is under way.
fn during_refresh_at(when: impl Into<When>, upstream: Upstream, seen: Seen) -> Step {
    Step { before: Before::Refresh, ..at(when, upstream, seen) }
}

/// As [`at`], when nobody asks: what the warmer does by itself.
fn unasked_at(when: impl Into<When>, upstream: Upstream, calls: usize) -> Step {
    let seen = Seen { calls, waited: 0, at_once: None, after_waiting: None };
    Step { herd: 0, ..at(when, upstream, seen) }
}

/// As [`at`], after a service has rejected the set that is served.
fn rejected_at(when: impl Into<When>, upstream: Upstream, seen: Seen) -> Step {
    Step { before: Before::Rejected, ..at(when, upstream, seen) }
}

/// What the herd saw.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    calls: usize,
    waited: usize,
    /// What those were told who did not wait, and those who did; none when there were none.
    at_once: Option<Told>,
    after_waiting: Option<Told>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Set(u64),
    Error(ErrorKind),
    /// `Expired`, because of this.
    Expired(ErrorKind),
}

const UNAVAILABLE: Told = Told::Error(ErrorKind::Unavailable);
const DENIED: Told = Told::Error(ErrorKind::Denied);
const UNATTENDED: Told = Told::Error(ErrorKind::InteractionRequired);
const EXPIRED: Told = Told::Expired(ErrorKind::Unavailable);

/// Upstream is not asked, and nobody waits.
fn at_once(told: Told) -> Seen {
    Seen { calls: 0, waited: 0, at_once: Some(told), after_waiting: None }
}

/// One caller asks upstream and waits; the others do not.
fn one_asks(told: Told, others: Told) -> Seen {
    Seen { calls: 1, waited: 1, at_once: Some(others), after_waiting: Some(told) }
}

/// One asks upstream, and all wait for it.
fn all_wait(told: Told) -> Seen {
    Seen { calls: 1, waited: HERD, at_once: None, after_waiting: Some(told) }
}

/// Somebody else asks upstream, the warmer or who asked for a refresh, and nobody waits.
fn another_asks(told: Told) -> Seen {
    Seen { calls: 1, ..at_once(told) }
}
