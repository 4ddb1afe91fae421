//! `Entrant`: a subject under a name, so that unlike ones stand in one row. The loops inside are each subject's own.

use std::fmt::Debug;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::Result;
use crate::crowd::{self, Crowd, Latency};
use crate::subject::Subject;

pub(crate) trait Entrant: Send + Sync {
    fn name(&self) -> &'static str;

    /// How long one task takes for so many fetches.
    fn alone(&self, runtime: &Runtime, fetches: u64) -> Duration;

    /// How many fetches a second a crowd makes.
    fn throughput(&self, runtime: &Runtime, crowd: Crowd) -> f64;

    /// How long each fetch of a crowd takes.
    fn latency(&self, runtime: &Runtime, crowd: Crowd) -> Result<Latency>;
}

struct Named<S> {
    name: &'static str,
    subject: Arc<S>,
    /// How many more sets are in hand while one task fetches.
    held: usize,
}

/// A subject that has shown that it serves.
pub(crate) async fn enter<S: Subject>(name: &'static str, subject: S) -> Result<Box<dyn Entrant>> {
    enter_holding(name, subject, 0).await
}

/// The same, of which so many sets are in hand while one task fetches.
pub(crate) async fn enter_holding<S: Subject>(
    name: &'static str,
    subject: S,
    held: usize,
) -> Result<Box<dyn Entrant>> {
    match subject.fetch().await {
        Ok(_) => Ok(Box::new(Named { name, subject: Arc::new(subject), held })),
        Err(fault) => Err(format!("{name} serves nothing: {}", text(&fault)).into()),
    }
}

fn text(fault: &impl Debug) -> String {
    format!("{fault:?}")
}

impl<S: Subject> Entrant for Named<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn alone(&self, runtime: &Runtime, fetches: u64) -> Duration {
        let subject = &*self.subject;
        let _held: Vec<_> = (0..self.held).map(|_| runtime.block_on(subject.fetch())).collect();
        runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..fetches {
                black_box(&subject.fetch().await);
            }
            start.elapsed()
        })
    }

    fn throughput(&self, runtime: &Runtime, crowd: Crowd) -> f64 {
        crowd::throughput(runtime, &self.subject, crowd)
    }

    fn latency(&self, runtime: &Runtime, crowd: Crowd) -> Result<Latency> {
        crowd::latency(runtime, &self.subject, crowd)
    }
}
