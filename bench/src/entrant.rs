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
}

/// A subject that has shown that it serves.
pub(crate) async fn enter<S: Subject>(name: &'static str, subject: S) -> Result<Box<dyn Entrant>> {
    match subject.fetch().await {
        Ok(_) => Ok(Box::new(Named { name, subject: Arc::new(subject) })),
        Err(fault) => Err(format!("{name} serves nothing: {}", text(&fault)).into()),
    }
}

/// The same while so many of its sets are held by whoever fetches.
pub(crate) async fn enter_holding<S: Subject>(
    name: &'static str,
    subject: S,
    held: usize,
) -> Result<Box<dyn Entrant>> {
    subject.fetch().await.map_err(|fault| format!("{name} serves nothing: {}", text(&fault)))?;
    Ok(Box::new(Holding { named: Named { name, subject: Arc::new(subject) }, held }))
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

struct Holding<S> {
    named: Named<S>,
    held: usize,
}

impl<S: Subject> Entrant for Holding<S> {
    fn name(&self) -> &'static str {
        self.named.name
    }

    fn alone(&self, runtime: &Runtime, fetches: u64) -> Duration {
        let fetch = || runtime.block_on(self.named.subject.fetch()).ok();
        let _held: Vec<_> = (0..self.held).map(|_| fetch()).collect();
        self.named.alone(runtime, fetches)
    }

    fn throughput(&self, runtime: &Runtime, crowd: Crowd) -> f64 {
        self.named.throughput(runtime, crowd)
    }

    fn latency(&self, runtime: &Runtime, crowd: Crowd) -> Result<Latency> {
        self.named.latency(runtime, crowd)
    }
}
