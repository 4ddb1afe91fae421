//! `keep_warm` for ten thousand sessions: what it costs while nothing is due, and while something is.

use std::fs;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use valetkey_core::{RefreshLimits, SessionRegistry};

use crate::Result;
use crate::goal::Goal;
use crate::peers::registry;
use crate::peers::valetkey::{Session, session_over};
use crate::report::table::number;
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;
use crate::subject::{Peer, Subject};
use crate::upstream::{Script, Upstream};

const SESSIONS: usize = 10_000;
const DUE: [usize; 2] = [1_000, 10_000];
const METHOD: &str = "Ten thousand sessions, kept warm by a future for each, or by one future of the registry that they are \
    in, on two worker threads; the registry's limits are set as high as they go. Processor time is the sum over all \
    threads, from schedstat. Those that are to be due hold no set at first; all others hold a fresh one. Then each of \
    the former is asked for its set, which is born in its advisory window, so that it is replaced. The upstream answers \
    at once; the price is that of fetch and replacement.";
const MOST: NonZeroU32 = NonZeroU32::MIN.saturating_add(999_999);
const PATIENCE: Duration = Duration::from_secs(30);
/// Seldom, since looking is paid for too.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Who keeps the sessions warm.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Warmer {
    Each,
    Registry,
}

const WARMERS: [(&str, Warmer); 2] =
    [("a future each", Warmer::Each), ("a future of the registry", Warmer::Registry)];

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let mut section = Section::new("keep_warm for 10,000 sessions", METHOD);
    for (name, warmer) in WARMERS {
        let subject = format!("valetkey, {name}");
        let idle = Warmed::open(stage, warmer, 0)?.idle(stage);
        let share = Rounds::from(idle * 100.0);
        let figure = Figure::new("keep_warm: share of a core, nothing due", &subject, "%", &share);
        section.push(figure.goal(Goal::AtMost(1.0)));
        due(stage, warmer, &subject, &mut section)?;
    }
    Ok(vec![section])
}

fn due(stage: &Stage, warmer: Warmer, subject: &str, section: &mut Section) -> Result<()> {
    let mut found = <[(Rounds, Rounds); 2]>::default();
    for _ in 0..stage.effort.herds {
        for ((cpu, wall), count) in found.iter_mut().zip(DUE) {
            let spent = Warmed::open(stage, warmer, count)?.replace(stage)?;
            cpu.push(spent.cpu * 1e6 / count as f64);
            wall.push(spent.wall * 1e3);
        }
    }
    for (index, ((cpu, wall), count)) in found.iter().zip(DUE).enumerate() {
        let count = number(count as f64);
        let name = format!("keep_warm: processor time a set, {count} due");
        let figure = Figure::new(name, subject, "µs", cpu).against("10,000 due", &cpu.over(&found[1].0));
        section.push(if index == 0 { figure.goal(Goal::AtMost(2.0)) } else { figure });
        section.push(Figure::new(
            format!("keep_warm: until all are replaced, {count} due"),
            subject,
            "ms",
            wall,
        ));
    }
    Ok(())
}

/// The sessions, and whom they ask.
struct Warmed {
    sessions: Vec<Session>,
    registry: Option<SessionRegistry>,
    upstreams: Vec<Upstream>,
    due: usize,
}

/// Seconds.
struct Spent {
    cpu: f64,
    wall: f64,
}

impl Warmed {
    fn open(stage: &Stage, warmer: Warmer, due: usize) -> Result<Self> {
        let stale = Script { first: Session::BORN_STALE, ..Script::WARM };
        let script = |index| if index < due { stale } else { Script::WARM };
        let upstreams: Vec<Upstream> = (0..SESSIONS).map(|index| Upstream::new(script(index))).collect();
        let registry =
            if warmer == Warmer::Registry { Some(registry::registry(SESSIONS as u64)?) } else { None };
        let open = |(upstream, number): (&Upstream, u64)| match &registry {
            Some(registry) => registry::open(registry, number, session_over(upstream.clone())).map(Session),
            None => Ok(Session::over(upstream.clone())),
        };
        let sessions: Vec<Session> = upstreams.iter().zip(0..).map(open).collect::<Result<_>>()?;
        ask(stage, &sessions[due..])?;
        Ok(Self { sessions, registry, upstreams, due })
    }

    fn warm(&self, stage: &Stage) -> Vec<JoinHandle<()>> {
        let most = RefreshLimits::default().concurrent(NonZeroU32::MAX).per_second(MOST);
        let warmers = match &self.registry {
            Some(registry) => vec![stage.runtime.spawn(registry.keep_warm(most))],
            None => self.sessions.iter().map(|session| stage.runtime.spawn(session.0.keep_warm())).collect(),
        };
        // Every future has looked once.
        std::thread::sleep(Duration::from_secs(1));
        warmers
    }

    /// Until all that are due are replaced.
    fn replace(self, stage: &Stage) -> Result<Spent> {
        let warmers = self.warm(stage);
        let (cpu, start) = (processor_time(), Instant::now());
        ask(stage, &self.sessions[..self.due])?;
        while self.replaced() < self.due && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK_EVERY);
        }
        let spent = Spent { cpu: processor_time() - cpu, wall: start.elapsed().as_secs_f64() };
        let replaced = self.replaced();
        warmers.iter().for_each(JoinHandle::abort);
        if replaced == self.due {
            Ok(spent)
        } else {
            Err(format!("{replaced} of {} were replaced", self.due).into())
        }
    }

    /// The share of one core, over a while.
    fn idle(self, stage: &Stage) -> f64 {
        let warmers = self.warm(stage);
        let (cpu, start) = (processor_time(), Instant::now());
        std::thread::sleep(stage.effort.watch);
        let share = (processor_time() - cpu) / start.elapsed().as_secs_f64();
        warmers.iter().for_each(JoinHandle::abort);
        share
    }

    fn replaced(&self) -> usize {
        self.upstreams[..self.due]
            .iter()
            .map(|upstream| usize::try_from(upstream.calls()).unwrap_or_default())
            .sum()
    }
}

fn ask(stage: &Stage, sessions: &[Session]) -> Result<()> {
    stage.runtime.block_on(async {
        for session in sessions {
            session.fetch().await?;
        }
        Ok(())
    })
}

/// Seconds that all threads of this process have run.
fn processor_time() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ran = tasks.filter_map(|task| {
        let line = fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    });
    ran.sum::<f64>() / 1e9
}
