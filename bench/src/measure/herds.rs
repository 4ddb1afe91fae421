//! Herds: many callers at once, in front of a cache that is empty, stale, expired, or whose source fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Result;
use crate::goal::Goal;
use crate::peers::google::Google;
use crate::peers::moka::TryGetWith;
use crate::peers::object_store::Store;
use crate::peers::reqsign::Signed;
use crate::peers::sdk::SdkCache;
use crate::peers::valetkey::{KeptWarm, Session};
use crate::report::table;
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;
use crate::subject::Peer;
use crate::upstream::{Script, Upstream};

/// What a herd meets.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    callers: usize,
    /// How long a call of the upstream takes.
    call: Duration,
    first: First,
    fails: bool,
}

/// The set that is there when the herd comes.
#[derive(Clone, Copy, PartialEq)]
enum First {
    None,
    InWindow,
    Expired,
}

pub(crate) const SCENES: [Scene; 5] = [
    Scene { name: "cold herd", callers: 10_000, call: CALL, first: First::None, fails: false },
    Scene { name: "window herd", callers: 10_000, call: CALL, first: First::InWindow, fails: false },
    Scene { name: "expired herd", callers: 1_000, call: CALL, first: First::Expired, fails: false },
    Scene { name: "cold error herd", callers: 100, call: FAILURE, first: First::None, fails: true },
    Scene { name: "window error herd", callers: 100, call: FAILURE, first: First::InWindow, fails: true },
];
const CALL: Duration = Duration::from_millis(50);
const FAILURE: Duration = Duration::from_millis(20);
/// The lifetime of a set that is to expire, and how long it takes until it surely has.
const SHORT: Duration = Duration::from_secs(1);
const GONE_AFTER: Duration = Duration::from_millis(1_200);

/// What one herd came to.
struct Outcome {
    /// Calls, milliseconds of wall time, of the longest wait, callers that waited, errors: as [`COLUMNS`].
    values: [f64; 5],
}

pub(crate) const COLUMNS: [(&str, &str); 5] =
    [("calls", ""), ("wall", "ms"), ("longest wait", "ms"), ("waited", ""), ("errors", "")];

/// One herd in front of one peer; nothing where the peer knows no such scene.
type Run = fn(&Stage, Scene) -> Result<Option<Outcome>>;

const RUNS: [(&str, Run); 7] = [
    (Session::NAME, run::<Session>),
    (KeptWarm::NAME, run::<KeptWarm>),
    (SdkCache::NAME, run::<SdkCache>),
    (Store::NAME, run::<Store>),
    (Signed::NAME, run::<Signed>),
    (Google::NAME, run::<Google>),
    (TryGetWith::NAME, run::<TryGetWith>),
];

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    SCENES.into_iter().map(|scene| section(stage, scene)).collect()
}

fn section(stage: &Stage, mut scene: Scene) -> Result<Section> {
    scene.callers = (scene.callers / stage.effort.divisor).max(100);
    let mut found: Vec<[Rounds; 5]> = vec![Default::default(); RUNS.len()];
    let mut one_call = Rounds::default();
    for _ in 0..stage.effort.herds {
        one_call.push(time_one_call(stage, scene));
        for ((_, run), rounds) in RUNS.iter().zip(&mut found) {
            let Some(outcome) = run(stage, scene)? else { continue };
            rounds.iter_mut().zip(outcome.values).for_each(|(rounds, value)| rounds.push(value));
        }
    }
    let mut section = Section::new(title(scene), method(scene)).matrix();
    for ((name, _), rounds) in RUNS.iter().zip(&found) {
        match rounds[0].count() {
            0 => section.not_run(format!("{name}: it has no such window")),
            _ => figures(scene, name, rounds, &one_call).into_iter().for_each(|figure| section.push(figure)),
        }
    }
    Ok(section)
}

fn title(scene: Scene) -> String {
    let source = if scene.fails { ", failing source" } else { "" };
    let state = match scene.first {
        First::None => "cold",
        First::InWindow => "in the refresh window",
        First::Expired => "expired",
    };
    format!("Herd of {}{source}, {state}", table::number(scene.callers as f64))
}

fn method(scene: Scene) -> String {
    let Scene { callers, call, fails, .. } = scene;
    let end = if fails { "and fails" } else { "and answers" };
    let call = call.as_millis();
    let callers = table::number(callers as f64);
    format!(
        "{callers} tasks are spawned on two worker threads and fetch once each; a call of the upstream takes {call} ms \
         {end}. A caller has waited when it took more than half a call. Calls are counted until two calls after the \
         last caller is served."
    )
}

fn figures(scene: Scene, name: &str, rounds: &[Rounds; 5], one_call: &Rounds) -> Vec<Figure> {
    let figure = |(index, (column, unit)): (usize, &(&str, &'static str))| {
        let figure = Figure::new(format!("{}: {column}", scene.name), name, unit, &rounds[index]);
        match goal(scene, name, column, one_call) {
            Some(goal) if *column == "wall" && !scene.fails => {
                figure.against("one call", &rounds[index].over(one_call)).goal(goal)
            }
            Some(goal) => figure.goal(goal),
            None => figure,
        }
    };
    COLUMNS.iter().enumerate().map(figure).collect()
}

/// What is asked of valetkey; kept warm in the window where nobody may wait.
fn goal(scene: Scene, name: &str, column: &str, one_call: &Rounds) -> Option<Goal> {
    let cold = scene.first == First::None && name == Session::NAME;
    let stale = scene.first == First::InWindow && [Session::NAME, KeptWarm::NAME].contains(&name);
    match column {
        "calls" if cold || stale => Some(Goal::Exactly(1.0)),
        "wall" if cold && scene.fails => Some(Goal::AtMost((one_call.median() + 5.0).round())),
        "wall" if cold => Some(Goal::AtMost(1.3)),
        "waited" if stale && name == KeptWarm::NAME && !scene.fails => Some(Goal::Exactly(0.0)),
        "errors" if stale && scene.fails => Some(Goal::Exactly(0.0)),
        _ => None,
    }
}

fn time_one_call(stage: &Stage, scene: Scene) -> f64 {
    let upstream = Upstream::new(Script { first: None, delay: scene.call, fails: scene.fails });
    stage.runtime.block_on(async {
        let start = Instant::now();
        let _either = upstream.ask().await;
        milliseconds(start.elapsed())
    })
}

fn run<P: Peer>(stage: &Stage, scene: Scene) -> Result<Option<Outcome>> {
    let first = match scene.first {
        First::None => None,
        First::Expired => Some(SHORT),
        First::InWindow if P::BORN_STALE.is_none() => return Ok(None),
        First::InWindow => P::BORN_STALE,
    };
    let upstream = Upstream::new(Script { first, delay: scene.call, fails: scene.fails });
    stage.runtime.block_on(async {
        let peer = Arc::new(P::open(upstream.clone()).await?);
        if first.is_some() {
            peer.fetch().await.map_err(|fault| format!("{}: {fault:?}", P::NAME))?;
            tokio::time::sleep(if scene.first == First::Expired { GONE_AFTER } else { P::SETTLES_IN }).await;
        }
        let attendant = tokio::spawn(peer.attend());
        let mut outcome = stampede(&peer, scene).await?;
        tokio::time::sleep(scene.call * 2).await;
        attendant.abort();
        outcome.values[0] = upstream.calls() as f64;
        Ok(Some(outcome))
    })
}

async fn stampede<P: Peer>(peer: &Arc<P>, scene: Scene) -> Result<Outcome> {
    let start = Instant::now();
    let call = |_| {
        let peer = Arc::clone(peer);
        tokio::spawn(async move {
            let begun = Instant::now();
            let served = peer.fetch().await.is_ok();
            (begun.elapsed(), served)
        })
    };
    let callers: Vec<_> = (0..scene.callers).map(call).collect();
    let (mut longest, mut waited, mut errors) = (Duration::ZERO, 0.0, 0.0);
    for caller in callers {
        let (wait, served) = caller.await?;
        longest = longest.max(wait);
        waited += f64::from(u8::from(wait > scene.call / 2));
        errors += f64::from(u8::from(!served));
    }
    let wall = milliseconds(start.elapsed());
    Ok(Outcome { values: [0.0, wall, milliseconds(longest), waited, errors] })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
