//! The refresh rules as a table: every row, and the edges between rows, in words and in figures.
//!
//! A scenario is a session that starts with credentials 1, or with none, and steps. Each step moves the clock, sets
//! what upstream does, lets some callers fetch, and states what they observe. Each scenario runs many times, since every
//! session draws its own jitter and every failure its own backoff: the expectation must be met in each run.

mod clocks;
mod expiring;
mod fixture;
mod interaction;
mod keep_warm;
mod mark_rejected;
mod permanent;
mod refresh;
mod transient;
mod unexpiring;
mod windows;

use std::ops::{Add, Sub};
use std::time::Duration;

use valetkey_core::{ErrorKind, RefreshPolicy};

use fixture::ScenarioFixture;

/// How many callers fetch at each step.
const CALLERS: usize = 5;
/// How many sessions run each scenario.
const SESSIONS_PER_SCENARIO: usize = 24;

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
    initial: InitialState,
    steps: Vec<Step>,
}

fn scenario(name: impl Into<String>, given: InitialState, steps: impl Into<Vec<Step>>) -> Scenario {
    Scenario { name: name.into(), initial: given, steps: steps.into() }
}

async fn run_scenarios(table: impl IntoIterator<Item = Scenario>) {
    for Scenario { name, initial: given, steps } in table {
        for _ in 0..SESSIONS_PER_SCENARIO {
            let fixture = ScenarioFixture::new(&given).await;
            for (number, step) in steps.iter().enumerate() {
                let seen = fixture.run_step(step).await;
                assert_eq!(seen, step.expected, "{name}: step {number}, {:?}", step.when);
            }
        }
    }
}

/// What a session starts with: credentials 1, or none.
#[derive(Clone)]
struct InitialState {
    credentials: InitialCredentials,
    max_age: Option<Duration>,
    background_refresh: bool,
    policy: RefreshPolicy,
}

#[derive(Clone, Copy)]
enum InitialCredentials {
    Absent,
    Expiring(Duration),
    Unexpiring,
}

/// Credentials 1, valid for `life`; what upstream issues later is valid for as long.
fn expiring_after(life: Duration) -> InitialState {
    initial_state(InitialCredentials::Expiring(life))
}

/// Credentials 1, without expiry.
fn unexpiring() -> InitialState {
    initial_state(InitialCredentials::Unexpiring)
}

/// Nothing was ever fetched.
fn uncached() -> InitialState {
    initial_state(InitialCredentials::Absent)
}

fn initial_state(set: InitialCredentials) -> InitialState {
    InitialState {
        credentials: set,
        max_age: None,
        background_refresh: false,
        policy: RefreshPolicy::default(),
    }
}

impl InitialState {
    fn with_background_refresh(self) -> Self {
        Self { background_refresh: true, ..self }
    }

    fn with_policy(self, policy: RefreshPolicy) -> Self {
        Self { policy, ..self }
    }

    fn serving_expired(self) -> Self {
        self.with_policy(RefreshPolicy::default().serve_expired())
    }

    /// The age after which the credentials would be fetched again.
    fn with_max_age(self, age: Duration) -> Self {
        Self { max_age: Some(age), ..self }
    }
}

/// An instant that the rules name.
#[derive(Debug, Clone, Copy)]
enum WindowEdge {
    /// Credentials 1 were issued, or the session was opened.
    Issued,
    /// The advisory window of credentials 1 opens, as this session's jitter has it: to the nanosecond.
    Advisory,
    /// One minute before credentials 1 expire.
    Mandatory,
    Expiry,
    /// Upstream was last called.
    LastFetch,
    Now,
}

use WindowEdge::{Advisory, Expiry, Issued, LastFetch, Mandatory, Now};

/// An edge, and how many nanoseconds after it.
#[derive(Debug, Clone, Copy)]
struct EdgeOffset(WindowEdge, i64);

impl From<WindowEdge> for EdgeOffset {
    fn from(edge: WindowEdge) -> Self {
        Self(edge, 0)
    }
}

fn duration_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap()
}

impl Add<Duration> for WindowEdge {
    type Output = EdgeOffset;

    fn add(self, after: Duration) -> EdgeOffset {
        EdgeOffset(self, duration_nanos(after))
    }
}

impl Sub<Duration> for WindowEdge {
    type Output = EdgeOffset;

    fn sub(self, before: Duration) -> EdgeOffset {
        EdgeOffset(self, 0) - before
    }
}

impl Sub<Duration> for EdgeOffset {
    type Output = EdgeOffset;

    fn sub(self, before: Duration) -> EdgeOffset {
        EdgeOffset(self.0, self.1 - duration_nanos(before))
    }
}

/// What upstream does.
#[derive(Debug, Clone, Copy)]
enum UpstreamBehavior {
    /// Returns the next credentials.
    Issues,
    /// Returns the next credentials, which are valid for this long; if that is zero, they have already expired.
    IssuesFor(Duration),
    /// Fails with this kind.
    Fails(ErrorKind),
    Panics,
    /// Never responds.
    Hangs,
}

use UpstreamBehavior::{Fails, Hangs, Issues, IssuesFor, Panics};

const DOWN: UpstreamBehavior = Fails(ErrorKind::Unavailable);
const DENIES: UpstreamBehavior = Fails(ErrorKind::Denied);
const NEEDS_INTERACTION: UpstreamBehavior = Fails(ErrorKind::InteractionRequired);

/// What happens just before the callers fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precondition {
    Nothing,
    /// A service rejects the credentials that are served.
    Rejected,
    /// A caller starts an explicit refresh, and waits for it.
    Refresh,
}

struct Step {
    when: EdgeOffset,
    callers: usize,
    precondition: Precondition,
    upstream: UpstreamBehavior,
    expected: Observation,
}

/// At `when`, while upstream behaves like `upstream`, the callers observe `seen`.
fn at(when: impl Into<EdgeOffset>, upstream: UpstreamBehavior, seen: Observation) -> Step {
    Step {
        when: when.into(),
        callers: CALLERS,
        precondition: Precondition::Nothing,
        upstream,
        expected: seen,
    }
}

/// As [`at`], while an explicit refresh is under way.
fn during_refresh_at(when: impl Into<EdgeOffset>, upstream: UpstreamBehavior, seen: Observation) -> Step {
    Step { precondition: Precondition::Refresh, ..at(when, upstream, seen) }
}

/// As [`at`], without callers: what the warmer does by itself.
fn without_callers_at(when: impl Into<EdgeOffset>, upstream: UpstreamBehavior, calls: usize) -> Step {
    let seen = Observation { calls, waited: 0, immediate: None, awaited: None };
    Step { callers: 0, ..at(when, upstream, seen) }
}

/// As [`at`], after a service has rejected the credentials that are served.
fn rejected_at(when: impl Into<EdgeOffset>, upstream: UpstreamBehavior, seen: Observation) -> Step {
    Step { precondition: Precondition::Rejected, ..at(when, upstream, seen) }
}

/// What the callers observed.
#[derive(Debug, PartialEq, Eq)]
struct Observation {
    calls: usize,
    waited: usize,
    /// The result of the callers that did not wait, and of those that did; `None` without such callers.
    immediate: Option<CallResult>,
    awaited: Option<CallResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallResult {
    Credentials(u64),
    Error(ErrorKind),
    /// `Expired`, because of this.
    Expired(ErrorKind),
}

const UNAVAILABLE: CallResult = CallResult::Error(ErrorKind::Unavailable);
const DENIED: CallResult = CallResult::Error(ErrorKind::Denied);
const INTERACTION_REQUIRED: CallResult = CallResult::Error(ErrorKind::InteractionRequired);
const EXPIRED: CallResult = CallResult::Expired(ErrorKind::Unavailable);

/// Upstream is not called, and no caller waits.
fn all_immediate(result: CallResult) -> Observation {
    Observation { calls: 0, waited: 0, immediate: Some(result), awaited: None }
}

/// One caller fetches and waits; the others do not.
fn one_fetches(result: CallResult, others: CallResult) -> Observation {
    Observation { calls: 1, waited: 1, immediate: Some(others), awaited: Some(result) }
}

/// One caller fetches, and all wait for it.
fn all_wait(result: CallResult) -> Observation {
    Observation { calls: 1, waited: CALLERS, immediate: None, awaited: Some(result) }
}

/// The warmer or an explicit refresh fetches, and no caller waits.
fn fetched_elsewhere(result: CallResult) -> Observation {
    Observation { calls: 1, ..all_immediate(result) }
}
