//! `LoadSpec`: many tasks that fetch from one subject for a time. The fetches are counted or timed.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, yield_now};

use crate::Result;
use crate::subject::Subject;

/// The number of tasks and the duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadSpec {
    pub(crate) tasks: usize,
    pub(crate) duration: Duration,
}

/// The latencies of all fetches of all tasks, in nanoseconds.
pub(crate) type LatencyHistogram = Histogram<u64>;

/// A task yields after this number of counted fetches. Yielding costs more than a fetch, so it is rare.
const FETCHES_PER_YIELD: u64 = 512;
/// A task yields more often if fetches are timed: a task that a tokio lock makes yield waits for all other tasks.
const TIMED_FETCHES_PER_YIELD: u64 = 64;
/// Two digits distinguish 250 ns from 260 ns.
const SIGNIFICANT_DIGITS: u8 = 2;
/// Longer than a run. Higher values are recorded as this.
const MAX_LATENCY_NANOS: u64 = 60_000_000_000;

pub(crate) fn measure_throughput<S: Subject>(runtime: &Runtime, subject: &Arc<S>, load: LoadSpec) -> f64 {
    let start = Instant::now();
    let counts = run_tasks(runtime, load, |stop| count_fetches(Arc::clone(subject), stop));
    counts.into_iter().sum::<u64>() as f64 / start.elapsed().as_secs_f64()
}

pub(crate) fn measure_latency<S: Subject>(
    runtime: &Runtime,
    subject: &Arc<S>,
    load: LoadSpec,
) -> Result<LatencyHistogram> {
    let mut all = Histogram::new_with_max(MAX_LATENCY_NANOS, SIGNIFICANT_DIGITS)?;
    for one in run_tasks(runtime, load, |stop| time_each_fetch(Arc::clone(subject), stop)) {
        all.add(one?)?;
    }
    Ok(all)
}

/// Runs the tasks for the duration and returns the result of each.
fn run_tasks<T, F>(runtime: &Runtime, load: LoadSpec, work: impl Fn(Arc<AtomicBool>) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<JoinHandle<T>> = (0..load.tasks).map(|_| runtime.spawn(work(Arc::clone(&stop)))).collect();
    thread::sleep(load.duration);
    stop.store(true, Ordering::Relaxed);
    tasks.into_iter().filter_map(|task| runtime.block_on(task).ok()).collect()
}

async fn count_fetches<S: Subject>(subject: Arc<S>, stop: Arc<AtomicBool>) -> u64 {
    let mut fetched = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..FETCHES_PER_YIELD {
            black_box(&subject.fetch().await);
        }
        fetched += FETCHES_PER_YIELD;
        yield_now().await;
    }
    fetched
}

async fn time_each_fetch<S: Subject>(subject: Arc<S>, stop: Arc<AtomicBool>) -> Result<LatencyHistogram> {
    let mut times = Histogram::new_with_max(MAX_LATENCY_NANOS, SIGNIFICANT_DIGITS)?;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..TIMED_FETCHES_PER_YIELD {
            let start = Instant::now();
            black_box(&subject.fetch().await);
            let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            times.saturating_record(nanoseconds.max(1));
        }
        yield_now().await;
    }
    Ok(times)
}
