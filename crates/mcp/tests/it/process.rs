//! What the operating system says of processes, and bounded waiting for it.

use std::fs;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until `holds`; fails after half a minute, saying what did not come true.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not within half a minute: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// The processes that run in a group.
pub(crate) fn group(leader: u32) -> Vec<u32> {
    all().filter(|&pid| group_of(pid) == Some(leader)).collect()
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|&pid| runs(pid))
}

pub(crate) fn group_of(pid: u32) -> Option<u32> {
    field(pid, 2)
}

/// The processes that this one started and that run.
pub(crate) fn children() -> Vec<u32> {
    all().filter(|&pid| parent(pid) == Some(std::process::id())).collect()
}

pub(crate) fn parent(pid: u32) -> Option<u32> {
    field(pid, 1)
}

/// A field of the process's status, counted from its state.
fn field(pid: u32, index: usize) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    status.rsplit(')').next()?.split_whitespace().nth(index)?.parse().ok()
}
