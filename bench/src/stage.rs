//! `Stage`: where everything is measured: one runtime with two workers, and how much effort to make.

use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::effort::Effort;

pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    pub(crate) effort: Effort,
}

impl Stage {
    /// As many workers on every machine, so that contention is the same kind of contention.
    const WORKERS: usize = 2;

    pub(crate) fn new(effort: Effort) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(Self::WORKERS).enable_all().build()?;
        Ok(Self { runtime, effort })
    }
}
