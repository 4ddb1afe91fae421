//! `MachineInfo`: cores, load and operating system, without a name of the machine.

use std::fs;
use std::thread;

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct MachineInfo {
    pub(crate) cores: usize,
    /// The load average when the run began. Above 0.5, other programs affect the figures.
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
