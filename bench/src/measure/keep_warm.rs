//! `keep_warm` for ten thousand sessions: what it costs while nothing is due, and while something is.

use std::fs;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::Result;
use crate::goal::Goal;
use crate::peers::valetkey::Session;
use crate::report::table::number;
use crate::rounds::Rounds;
use crate::sheet::{Figure, Section};
use crate::stage::Stage;
use crate::subject::{Peer, Subject};
use crate::upstream::{Script, Upstream};

const SESSIONS: usize = 10_000;
const DUE: [usize; 3] = [1_000, 3_000, 10_000];
const METHOD: &str = "Ten thousand sessions, and a keep_warm future for each on two worker threads. Processor time is the \
    sum over all threads, from schedstat. Those that are to be due hold no set at first; all others hold a fresh one. \
    Then each of the former is asked for its set, which is born in its advisory window, so that its future replaces it. \
    The upstream answers at once; the price is that of fetch and replacement.";
const PATIENCE: Duration = Duration::from_secs(20);
/// Seldom, since looking is paid for too.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn take(stage: &Stage) -> Result<Vec<Section>> {
    let mut section = Section::new("keep_warm for 10,000 sessions", METHOD);
    let mut due = <[(Rounds, Rounds); 3]>::default();
    for _ in 0..stage.effort.herds {
        for ((cpu, wall), count) in due.iter_mut().zip(DUE) {
            let spent = Warmed::open(stage, count)?.replace(stage)?;
            cpu.push(spent.cpu * 1e6 / count as f64);
            wall.push(spent.wall * 1e3);
        }
    }
    let idle = Warmed::open(stage, 0)?.idle(stage);
    let share =
        Figure::new("keep_warm: share of a core, nothing due", "valetkey", "%", &Rounds::from(idle * 100.0));
    section.push(share.goal(Goal::AtMost(1.0)));
    for (index, ((cpu, wall), count)) in due.iter().zip(DUE).enumerate() {
        let count = number(count as f64);
        let name = format!("keep_warm: processor time a set, {count} due");
        let figure = Figure::new(name, "valetkey", "µs", cpu).against("10,000 due", &cpu.over(&due[2].0));
        section.push(if index == 0 { figure.goal(Goal::AtMost(2.0)) } else { figure });
        section.push(Figure::new(
            format!("keep_warm: until all are replaced, {count} due"),
            "valetkey",
            "ms",
            wall,
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
        let stale = Script { first: Session::BORN_STALE, ..Script::WARM };
        let script = |index| if index < due { stale } else { Script::WARM };
        let upstreams: Vec<Upstream> = (0..SESSIONS).map(|index| Upstream::new(script(index))).collect();
        let sessions: Vec<Session> = upstreams.iter().cloned().map(Session::over).collect();
        ask(stage, &sessions[due..])?;
        Ok(Self { sessions, upstreams, due })
    }

    fn warm(&self, stage: &Stage) -> Vec<JoinHandle<()>> {
        let warmers =
            self.sessions.iter().map(|session| stage.runtime.spawn(session.0.keep_warm())).collect();
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
