//! `Contender`: a subject with a name, as a trait object. The measured loops are compiled for each subject.

use std::fmt::Debug;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::Result;
use crate::load::{self, LatencyHistogram, LoadSpec};
use crate::subject::Subject;

pub(crate) trait Contender: Send + Sync {
    fn name(&self) -> &'static str;

    /// Returns the time in which one task makes `fetches` fetches.
    fn time_fetches(&self, runtime: &Runtime, fetches: u64) -> Duration;

    /// Returns the fetches per second under a load.
    fn measure_throughput(&self, runtime: &Runtime, load: LoadSpec) -> f64;

    /// Returns the latency of each fetch under a load.
    fn measure_latency(&self, runtime: &Runtime, load: LoadSpec) -> Result<LatencyHistogram>;
}

struct NamedSubject<S> {
    name: &'static str,
    subject: Arc<S>,
    /// The number of other credentials that are held while one task fetches.
    held_count: usize,
}

/// Registers a subject, after one successful fetch.
pub(crate) async fn register<S: Subject>(name: &'static str, subject: S) -> Result<Box<dyn Contender>> {
    register_holding(name, subject, 0).await
}

/// Registers a subject of which `held` other credentials are held while one task fetches.
pub(crate) async fn register_holding<S: Subject>(
    name: &'static str,
    subject: S,
    held: usize,
) -> Result<Box<dyn Contender>> {
    match subject.fetch().await {
        Ok(_) => Ok(Box::new(NamedSubject { name, subject: Arc::new(subject), held_count: held })),
        Err(error) => Err(format!("{name} serves nothing: {}", debug_text(&error)).into()),
    }
}

fn debug_text(error: &impl Debug) -> String {
    format!("{error:?}")
}

impl<S: Subject> Contender for NamedSubject<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn time_fetches(&self, runtime: &Runtime, fetches: u64) -> Duration {
        let subject = &*self.subject;
        let _held: Vec<_> = (0..self.held_count).map(|_| runtime.block_on(subject.fetch())).collect();
        runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..fetches {
                black_box(&subject.fetch().await);
            }
            start.elapsed()
        })
    }

    fn measure_throughput(&self, runtime: &Runtime, load: LoadSpec) -> f64 {
        load::measure_throughput(runtime, &self.subject, load)
    }

    fn measure_latency(&self, runtime: &Runtime, load: LoadSpec) -> Result<LatencyHistogram> {
        load::measure_latency(runtime, &self.subject, load)
    }
}
