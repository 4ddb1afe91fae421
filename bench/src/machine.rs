//! What can be told of the machine without naming it.

use std::fs;
use std::thread;

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct MachineInfo {
    pub(crate) cores: usize,
    /// How busy it was when the run began, as the kernel tells it: above 0.5, somebody else was measured too.
    pub(crate) load: Option<f64>,
    pub(crate) system: &'static str,
}

impl MachineInfo {
    pub(crate) fn collect() -> Self {
        let load = fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            load,
            system: std::env::consts::OS,
        }
    }
}
