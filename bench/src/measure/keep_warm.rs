//! `keep_warm` for ten thousand sessions: what it costs while nothing is due, and while something is.

use std::fs;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::Result;
use crate::goal::Goal;
use crate::peers::valetkey::Session;
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;
use crate::subject::{Peer, Subject};
use crate::upstream::{Script, Upstream};

const SESSIONS: usize = 10_000;
const DUE: [usize; 3] = [1_000, 3_000, 10_000];
const METHOD: &str = "Ten thousand sessions with a set each, and a keep_warm future for each session on two worker \
    threads. Processor time is the sum over all threads, from schedstat. Of those that are due, every set is born in \
    its advisory window; the upstream answers at once; the cost of starting ten thousand futures with nothing due is \
    taken off.";
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let mut section = Section::new("keep_warm for 10,000 sessions", METHOD);
    let (mut starts, mut due) = (Rounds::default(), <[(Rounds, Rounds); 3]>::default());
    for _ in 0..stage.effort.herds {
        starts.push(Warmed::open(stage, 0)?.refresh(stage)?.cpu * 1e3);
        for ((cpu, rate), count) in due.iter_mut().zip(DUE) {
            let spent = Warmed::open(stage, count)?.refresh(stage)?;
            cpu.push(spent.cpu * 1e3);
            rate.push(count as f64 / spent.wall);
        }
    }
    let start = starts.median();
    let each = |index: usize| due[index].0.map(|cpu| (cpu - start) * 1e3 / DUE[index] as f64);
    let idle = Warmed::open(stage, 0)?.idle(stage);
    let share =
        Figure::new("keep_warm: share of a core, nothing due", "valetkey", "%", &Rounds::from(idle * 100.0));
    section.push(share.goal(Goal::AtMost(1.0)));
    section.push(Figure::new("keep_warm: processor time to start", "valetkey", "ms", &starts));
    for (index, count) in DUE.into_iter().enumerate() {
        let name = format!("keep_warm: processor time a refresh, {count} due");
        let figure = Figure::new(name, "valetkey", "µs", &each(index));
        let figure = figure.against("10,000 due", &each(index).over(&each(2)));
        section.push(if index == 0 { figure.goal(Goal::AtMost(2.0)) } else { figure });
        section.push(Figure::new(
            format!("keep_warm: refreshes a second, {count} due"),
            "valetkey",
            "/s",
            &due[index].1,
        ));
    }
    Ok(vec![section])
}

/// The sessions, and whom they ask.
struct Warmed {
    sessions: Vec<Session>,
    upstreams: Vec<Upstream>,
    due: usize,
}

/// Seconds.
struct Spent {
    cpu: f64,
    wall: f64,
}

impl Warmed {
    fn open(stage: &Stage, due: usize) -> Result<Self> {
        let script = |index| Script {
            first: if index < due { Session::BORN_STALE } else { Script::WARM.first },
            ..Script::WARM
        };
        let upstreams: Vec<Upstream> = (0..SESSIONS).map(|index| Upstream::new(script(index))).collect();
        let sessions: Vec<Session> = upstreams.iter().cloned().map(Session::over).collect();
        stage.runtime.block_on(async {
            for session in &sessions {
                session.fetch().await?;
            }
            Ok(Self { sessions, upstreams, due })
        })
    }

    fn warm(&self, stage: &Stage) -> Vec<JoinHandle<()>> {
        self.sessions.iter().map(|session| stage.runtime.spawn(session.0.keep_warm())).collect()
    }

    /// Until all that are due are refreshed; until every future has run once, if none is.
    fn refresh(self, stage: &Stage) -> Result<Spent> {
        let (cpu, start) = (processor_time(), Instant::now());
        let warmers = self.warm(stage);
        while self.refreshed() < self.due && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK_EVERY);
        }
        let wall = start.elapsed().as_secs_f64();
        // The futures look once when they start, and again after a refresh: both are part of the price.
        std::thread::sleep(Duration::from_millis(1_500));
        let spent = Spent { cpu: processor_time() - cpu, wall };
        let refreshed = self.refreshed();
        warmers.iter().for_each(JoinHandle::abort);
        if refreshed == self.due {
            Ok(spent)
        } else {
            Err(format!("{refreshed} of {} were refreshed", self.due).into())
        }
    }

    /// The share of one core, over a while.
    fn idle(self, stage: &Stage) -> f64 {
        let warmers = self.warm(stage);
        std::thread::sleep(Duration::from_secs(1));
        let (cpu, start) = (processor_time(), Instant::now());
        std::thread::sleep(stage.effort.watch);
        let share = (processor_time() - cpu) / start.elapsed().as_secs_f64();
        warmers.iter().for_each(JoinHandle::abort);
        share
    }

    fn refreshed(&self) -> usize {
        self.upstreams.iter().map(|upstream| usize::try_from(upstream.calls()).unwrap_or_default()).sum()
    }
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
