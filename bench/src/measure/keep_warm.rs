//! `keep_warm` for ten thousand sessions: its cost while no refresh is due, and while refreshes are due.

use std::fs;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use valetkey_core::{RefreshLimits, SessionRegistry};

use crate::Result;
use crate::competitors::registry;
use crate::competitors::valetkey::{SessionPeer, session_builder};
use crate::env::BenchEnv;
use crate::fake_source::{Script, Upstream};
use crate::goal::Goal;
use crate::report::table::format_number;
use crate::results::{Figure, Section};
use crate::rounds::Rounds;
use crate::subject::{Peer, Subject};

const SESSION_COUNT: usize = 10_000;
const DUE_COUNTS: [usize; 2] = [1_000, 10_000];
const METHOD: &str = "Ten thousand sessions, refreshed by one future for each or by one future of their registry, on two \
    worker threads; the registry has its highest limits. Processor time is the sum over all threads, from schedstat. Sessions \
    that will be due are initially empty; all others hold fresh credentials. Then each empty session fetches \
    credentials that are already in their advisory window, so that they are replaced. The upstream responds \
    immediately; the figure is the cost of fetch and replacement.";
const MAX_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(999_999);
const REPLACE_TIMEOUT: Duration = Duration::from_secs(30);
/// Rare, because polling is measured too.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The future that refreshes the sessions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum RefreshDriver {
    PerSession,
    Registry,
}

const REFRESH_DRIVERS: [(&str, RefreshDriver); 2] =
    [("a future each", RefreshDriver::PerSession), ("a future of the registry", RefreshDriver::Registry)];

pub(super) fn run(env: &BenchEnv) -> Result<Vec<Section>> {
    let mut section = Section::new("keep_warm for 10,000 sessions", METHOD);
    for (name, warmer) in REFRESH_DRIVERS {
        let subject = format!("valetkey, {name}");
        let idle = RefreshFixture::open(env, warmer, 0)?.measure_idle(env);
        let share = Rounds::from(idle * 100.0);
        let figure = Figure::new("keep_warm: share of a core, nothing due", &subject, "%", &share);
        section.push(figure.with_goal(Goal::AtMost(1.0)));
        measure_due(env, warmer, &subject, &mut section)?;
    }
    Ok(vec![section])
}

fn measure_due(env: &BenchEnv, warmer: RefreshDriver, subject: &str, section: &mut Section) -> Result<()> {
    let mut found = <[(Rounds, Rounds); 2]>::default();
    for _ in 0..env.profile.herd_rounds {
        for ((cpu, wall), count) in found.iter_mut().zip(DUE_COUNTS) {
            let spent = RefreshFixture::open(env, warmer, count)?.measure_replacement(env)?;
            cpu.push(spent.cpu * 1e6 / count as f64);
            wall.push(spent.wall * 1e3);
        }
    }
    for (index, ((cpu, wall), count)) in found.iter().zip(DUE_COUNTS).enumerate() {
        let count = format_number(count as f64);
        let name = format!("keep_warm: processor time per refresh, {count} due");
        let figure =
            Figure::new(name, subject, "µs", cpu).with_reference("10,000 due", &cpu.ratio_to(&found[1].0));
        section.push(if index == 0 { figure.with_goal(Goal::AtMost(2.0)) } else { figure });
        section.push(Figure::new(
            format!("keep_warm: time until all are replaced, {count} due"),
            subject,
            "ms",
            wall,
        ));
    }
    Ok(())
}

/// The sessions and their source.
struct RefreshFixture {
    sessions: Vec<SessionPeer>,
    registry: Option<SessionRegistry>,
    upstreams: Vec<Upstream>,
    due_count: usize,
}

/// Seconds.
struct RefreshCost {
    cpu: f64,
    wall: f64,
}

impl RefreshFixture {
    fn open(env: &BenchEnv, warmer: RefreshDriver, due: usize) -> Result<Self> {
        let stale = Script { first_lifetime: SessionPeer::STALE_LIFETIME, ..Script::WARM };
        let script = |index| if index < due { stale } else { Script::WARM };
        let upstreams: Vec<Upstream> = (0..SESSION_COUNT).map(|index| Upstream::new(script(index))).collect();
        let registry = if warmer == RefreshDriver::Registry {
            Some(registry::build_registry(SESSION_COUNT as u64)?)
        } else {
            None
        };
        let open = |(upstream, number): (&Upstream, u64)| match &registry {
            Some(registry) => {
                registry::open_session(registry, number, session_builder(upstream.clone())).map(SessionPeer)
            }
            None => Ok(SessionPeer::new(upstream.clone())),
        };
        let sessions: Vec<SessionPeer> = upstreams.iter().zip(0..).map(open).collect::<Result<_>>()?;
        fetch_all(env, &sessions[due..])?;
        Ok(Self { sessions, registry, upstreams, due_count: due })
    }

    fn spawn_refresh(&self, env: &BenchEnv) -> Vec<JoinHandle<()>> {
        let most = RefreshLimits::default().max_concurrent(NonZeroU32::MAX).max_per_second(MAX_PER_SECOND);
        let warmers = match &self.registry {
            Some(registry) => vec![env.runtime.spawn(registry.keep_warm(most))],
            None => self.sessions.iter().map(|session| env.runtime.spawn(session.0.keep_warm())).collect(),
        };
        // Each future has checked its session once.
        std::thread::sleep(Duration::from_secs(1));
        warmers
    }

    /// Waits until all due credentials are replaced.
    fn measure_replacement(self, env: &BenchEnv) -> Result<RefreshCost> {
        let warmers = self.spawn_refresh(env);
        let (cpu, start) = (processor_time(), Instant::now());
        fetch_all(env, &self.sessions[..self.due_count])?;
        while self.replaced_count() < self.due_count && start.elapsed() < REPLACE_TIMEOUT {
            std::thread::sleep(POLL_INTERVAL);
        }
        let spent = RefreshCost { cpu: processor_time() - cpu, wall: start.elapsed().as_secs_f64() };
        let replaced = self.replaced_count();
        warmers.iter().for_each(JoinHandle::abort);
        if replaced == self.due_count {
            Ok(spent)
        } else {
            Err(format!("{replaced} of {} were replaced", self.due_count).into())
        }
    }

    /// Returns the share of one core over a time.
    fn measure_idle(self, env: &BenchEnv) -> f64 {
        let warmers = self.spawn_refresh(env);
        let (cpu, start) = (processor_time(), Instant::now());
        std::thread::sleep(env.profile.idle_watch_time);
        let share = (processor_time() - cpu) / start.elapsed().as_secs_f64();
        warmers.iter().for_each(JoinHandle::abort);
        share
    }

    fn replaced_count(&self) -> usize {
        self.upstreams[..self.due_count]
            .iter()
            .map(|upstream| usize::try_from(upstream.call_count()).unwrap_or_default())
            .sum()
    }
}

fn fetch_all(env: &BenchEnv, sessions: &[SessionPeer]) -> Result<()> {
    env.runtime.block_on(async {
        for session in sessions {
            session.fetch().await?;
        }
        Ok(())
    })
}

/// Returns the seconds of processor time of all threads of this process.
fn processor_time() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ran = tasks.filter_map(|task| {
        let line = fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    });
    ran.sum::<f64>() / 1e9
}
