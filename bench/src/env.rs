//! `BenchEnv`: a runtime with two workers, and the profile of the run.

use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::profile::BenchProfile;

pub(crate) struct BenchEnv {
    pub(crate) runtime: Runtime,
    pub(crate) profile: BenchProfile,
}

impl BenchEnv {
    /// The same number on every machine, so that contention is comparable.
    const WORKER_THREADS: usize = 2;

    pub(crate) fn new(effort: BenchProfile) -> Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(Self::WORKER_THREADS).enable_all().build()?;
        Ok(Self { runtime, profile: effort })
    }
}
