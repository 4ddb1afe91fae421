//! Herds: many simultaneous callers of a cache that is empty, stale or expired, or whose source fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Result;
use crate::competitors::google::GooglePeer;
use crate::competitors::moka::MokaTryGetWith;
use crate::competitors::object_store::ObjectStorePeer;
use crate::competitors::reqsign::ReqsignPeer;
use crate::competitors::sdk::SdkPeer;
use crate::competitors::valetkey::{BackgroundRefreshed, SessionPeer};
use crate::env::BenchEnv;
use crate::fake_source::{Script, Upstream};
use crate::goal::Goal;
use crate::report::table;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::subject::Peer;

/// The state that a herd meets.
#[derive(Clone, Copy)]
pub(crate) struct HerdScenario {
    pub(crate) name: &'static str,
    caller_count: usize,
    /// The duration of a call of the upstream.
    call_time: Duration,
    initial_state: InitialState,
    is_failing: bool,
}

/// The credentials that are cached when the herd starts.
#[derive(Clone, Copy, PartialEq)]
enum InitialState {
    Empty,
    InWindow,
    Expired,
}

pub(crate) const SCENARIOS: [HerdScenario; 5] = [
    HerdScenario {
        name: "cold herd",
        caller_count: 10_000,
        call_time: CALL_TIME,
        initial_state: InitialState::Empty,
        is_failing: false,
    },
    HerdScenario {
        name: "window herd",
        caller_count: 10_000,
        call_time: CALL_TIME,
        initial_state: InitialState::InWindow,
        is_failing: false,
    },
    HerdScenario {
        name: "expired herd",
        caller_count: 1_000,
        call_time: CALL_TIME,
        initial_state: InitialState::Expired,
        is_failing: false,
    },
    HerdScenario {
        name: "cold error herd",
        caller_count: 100,
        call_time: FAILING_CALL_TIME,
        initial_state: InitialState::Empty,
        is_failing: true,
    },
    HerdScenario {
        name: "window error herd",
        caller_count: 100,
        call_time: FAILING_CALL_TIME,
        initial_state: InitialState::InWindow,
        is_failing: true,
    },
];
const CALL_TIME: Duration = Duration::from_millis(50);
const FAILING_CALL_TIME: Duration = Duration::from_millis(20);
/// The lifetime of credentials that must expire, and the time after which they have expired.
const SHORT_LIFETIME: Duration = Duration::from_secs(1);
const EXPIRED_AFTER: Duration = Duration::from_millis(1_200);

/// The result of one herd.
struct HerdOutcome {
    /// Calls, wall time in ms, longest wait in ms, callers that waited, errors: as in [`COLUMNS`].
    values: [f64; 5],
}

pub(crate) const COLUMNS: [(&str, &str); 5] =
    [("calls", ""), ("wall", "ms"), ("longest wait", "ms"), ("waited", ""), ("errors", "")];

/// Runs one herd against one peer. Returns `None` if the peer has no such state.
type HerdRun = fn(&BenchEnv, HerdScenario) -> Result<Option<HerdOutcome>>;

const HERD_RUNS: [(&str, HerdRun); 7] = [
    (SessionPeer::NAME, run_herd::<SessionPeer>),
    (BackgroundRefreshed::NAME, run_herd::<BackgroundRefreshed>),
    (SdkPeer::NAME, run_herd::<SdkPeer>),
    (ObjectStorePeer::NAME, run_herd::<ObjectStorePeer>),
    (ReqsignPeer::NAME, run_herd::<ReqsignPeer>),
    (GooglePeer::NAME, run_herd::<GooglePeer>),
    (MokaTryGetWith::NAME, run_herd::<MokaTryGetWith>),
];

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    SCENARIOS.into_iter().map(|scenario| run_scenario(env, scenario)).collect()
}

fn run_scenario(env: &BenchEnv, mut scenario: HerdScenario) -> Result<Section> {
    scenario.caller_count = (scenario.caller_count / env.profile.size_divisor).max(100);
    let mut found: Vec<[Rounds; 5]> = vec![Default::default(); HERD_RUNS.len()];
    let mut one_call = Rounds::default();
    for _ in 0..env.profile.herd_rounds {
        one_call.push(time_one_call(env, scenario));
        for ((_, run), rounds) in HERD_RUNS.iter().zip(&mut found) {
            let Some(outcome) = run(env, scenario)? else { continue };
            rounds.iter_mut().zip(outcome.values).for_each(|(rounds, value)| rounds.push(value));
        }
    }
    let mut section = Section::new(section_title(scenario), section_method(scenario)).into_matrix();
    for ((name, _), rounds) in HERD_RUNS.iter().zip(&found) {
        match rounds[0].count() {
            0 => section.add_not_run(format!("{name}: it has no such window")),
            _ => scenario_figures(scenario, name, rounds, &one_call)
                .into_iter()
                .for_each(|figure| section.push(figure)),
        }
    }
    Ok(section)
}

fn section_title(scenario: HerdScenario) -> String {
    let source = if scenario.is_failing { ", failing source" } else { "" };
    let state = match scenario.initial_state {
        InitialState::Empty => "cold",
        InitialState::InWindow => "in the refresh window",
        InitialState::Expired => "expired",
    };
    format!("Herd of {}{source}, {state}", table::format_number(scenario.caller_count as f64))
}

fn section_method(scenario: HerdScenario) -> String {
    let HerdScenario { caller_count: callers, call_time: call, is_failing: fails, .. } = scenario;
    let end = if fails { "and fails" } else { "and succeeds" };
    let call = call.as_millis();
    let callers = table::format_number(callers as f64);
    format!(
        "{callers} tasks are spawned on two worker threads and fetch once each; a call of the upstream takes {call} ms \
         {end}. A caller that took longer than half a call has waited. Calls are counted until two calls after the \
         last caller is served."
    )
}

fn scenario_figures(
    scenario: HerdScenario,
    name: &str,
    rounds: &[Rounds; 5],
    one_call: &Rounds,
) -> Vec<Figure> {
    let figure = |(index, (column, unit)): (usize, &(&str, &'static str))| {
        let figure = Figure::new(format!("{}: {column}", scenario.name), name, unit, &rounds[index]);
        match scenario_goal(scenario, name, column, one_call) {
            Some(goal) if *column == "wall" && !scenario.is_failing => {
                figure.with_reference("one call", &rounds[index].ratio_to(one_call)).with_goal(goal)
            }
            Some(goal) => figure.with_goal(goal),
            None => figure,
        }
    };
    COLUMNS.iter().enumerate().map(figure).collect()
}

/// The goals of valetkey. With `keep_warm`, no caller may wait in the window.
fn scenario_goal(scenario: HerdScenario, name: &str, column: &str, one_call: &Rounds) -> Option<Goal> {
    let cold = scenario.initial_state == InitialState::Empty && name == SessionPeer::NAME;
    let stale = scenario.initial_state == InitialState::InWindow
        && [SessionPeer::NAME, BackgroundRefreshed::NAME].contains(&name);
    match column {
        "calls" if cold || stale => Some(Goal::Exactly(1.0)),
        "wall" if cold && scenario.is_failing => Some(Goal::AtMost((one_call.median() + 5.0).round())),
        "wall" if cold => Some(Goal::AtMost(1.3)),
        "waited" if stale && name == BackgroundRefreshed::NAME && !scenario.is_failing => {
            Some(Goal::Exactly(0.0))
        }
        "errors" if stale && scenario.is_failing => Some(Goal::Exactly(0.0)),
        _ => None,
    }
}

fn time_one_call(env: &BenchEnv, scenario: HerdScenario) -> f64 {
    let upstream = Upstream::new(Script {
        first_lifetime: None,
        call_time: scenario.call_time,
        is_failing: scenario.is_failing,
    });
    env.runtime.block_on(async {
        let start = Instant::now();
        let _either = upstream.call().await;
        as_milliseconds(start.elapsed())
    })
}

fn run_herd<P: Peer>(env: &BenchEnv, scenario: HerdScenario) -> Result<Option<HerdOutcome>> {
    let first = match scenario.initial_state {
        InitialState::Empty => None,
        InitialState::Expired => Some(SHORT_LIFETIME),
        InitialState::InWindow if P::STALE_LIFETIME.is_none() => return Ok(None),
        InitialState::InWindow => P::STALE_LIFETIME,
    };
    let upstream = Upstream::new(Script {
        first_lifetime: first,
        call_time: scenario.call_time,
        is_failing: scenario.is_failing,
    });
    env.runtime.block_on(async {
        let peer = Arc::new(P::setup(upstream.clone()).await?);
        if first.is_some() {
            peer.fetch().await.map_err(|error| format!("{}: {error:?}", P::NAME))?;
            tokio::time::sleep(if scenario.initial_state == InitialState::Expired {
                EXPIRED_AFTER
            } else {
                P::SETTLE_TIME
            })
            .await;
        }
        let background = tokio::spawn(peer.run_background());
        let mut outcome = run_callers(&peer, scenario).await?;
        tokio::time::sleep(scenario.call_time * 2).await;
        background.abort();
        outcome.values[0] = upstream.call_count() as f64;
        Ok(Some(outcome))
    })
}

async fn run_callers<P: Peer>(peer: &Arc<P>, scenario: HerdScenario) -> Result<HerdOutcome> {
    let start = Instant::now();
    let call = |_| {
        let peer = Arc::clone(peer);
        tokio::spawn(async move {
            let begun = Instant::now();
            let served = peer.fetch().await.is_ok();
            (begun.elapsed(), served)
        })
    };
    let callers: Vec<_> = (0..scenario.caller_count).map(call).collect();
    let (mut longest, mut waited, mut errors) = (Duration::ZERO, 0.0, 0.0);
    for caller in callers {
        let (wait, served) = caller.await?;
        longest = longest.max(wait);
        waited += f64::from(u8::from(wait > scenario.call_time / 2));
        errors += f64::from(u8::from(!served));
    }
    let wall = as_milliseconds(start.elapsed());
    Ok(HerdOutcome { values: [0.0, wall, as_milliseconds(longest), waited, errors] })
}

fn as_milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
