//! `BenchEnv`: a runtime with two workers, and the profile of the run.

use std::path::PathBuf;

use clap::Args;
use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::profile::BenchProfile;

pub(crate) struct BenchEnv {
    pub(crate) runtime: Runtime,
    pub(crate) profile: BenchProfile,
    pub(crate) programs: ExternalPrograms,
}

/// Programs that the bench does not build itself.
#[derive(Args, Debug, Default)]
pub(crate) struct ExternalPrograms {
    /// The release build of valetkey, for the measure `gateway`.
    #[arg(long, value_name = "FILE")]
    pub(crate) valetkey: Option<PathBuf>,
    /// The `bin` folder of a Python environment with `fastmcp` and `mcp-proxy`, for the measure `gateway`.
    #[arg(long, value_name = "DIR")]
    pub(crate) python: Option<PathBuf>,
}

impl BenchEnv {
    /// The same number on every machine, so that contention is comparable.
    const WORKER_THREADS: usize = 2;

    pub(crate) fn new(profile: BenchProfile, programs: ExternalPrograms) -> Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(Self::WORKER_THREADS).enable_all().build()?;
        Ok(Self { runtime, profile, programs })
    }
}
