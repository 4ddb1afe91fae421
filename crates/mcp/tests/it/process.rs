//! The state of processes as the operating system reports it, and waiting for it with a limit.

use std::fs;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until `condition` holds. After 30 s, fails and reports `what`.
pub(crate) async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within half a minute: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is running; a zombie is not.
pub(crate) fn is_running(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Returns the running processes of a group.
pub(crate) fn group_members(leader: u32) -> Vec<u32> {
    running_pids().filter(|&pid| group_id(pid) == Some(leader)).collect()
}

fn running_pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|&pid| is_running(pid))
}

pub(crate) fn group_id(pid: u32) -> Option<u32> {
    stat_field(pid, 2)
}

/// Returns the running processes that this process started.
pub(crate) fn running_children() -> Vec<u32> {
    running_pids().filter(|&pid| parent_pid(pid) == Some(std::process::id())).collect()
}

pub(crate) fn parent_pid(pid: u32) -> Option<u32> {
    stat_field(pid, 1)
}

/// Returns a field of the process's `stat` file, counted from its state.
fn stat_field(pid: u32, index: usize) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    status.rsplit(')').next()?.split_whitespace().nth(index)?.parse().ok()
}
