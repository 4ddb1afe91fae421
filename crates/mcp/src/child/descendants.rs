//! Finds the descendants of a process, and kills those of a child, also those that have left its process group.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Kills every descendant of the process `ancestor`, but not the process itself. A guardian is the subreaper of its
/// program, so that an orphan is still its descendant.
pub(super) fn kill_descendants_of(ancestor: u32) {
    let mut found = vec![ancestor];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        // Each is stopped before its own children are listed, since a stopped process starts no other.
        let children = children_of(parent);
        children.iter().for_each(|child| signal_below(*child, ancestor, Signal::STOP));
        found.extend(children);
        next += 1;
    }
    // The last found first: the children of a killed process get another parent, and would not be descendants any more.
    for descendant in found.into_iter().skip(1).rev() {
        signal_below(descendant, ancestor, Signal::KILL);
    }
}

/// Sends a signal to a process if it is still a descendant of `ancestor`. The descriptor is opened before the check, so
/// the process is not a later one with the same id.
fn signal_below(process: u32, ancestor: u32, signal: Signal) {
    let descriptor = to_pid(process).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let Some(Ok(descriptor)) = descriptor else { return };
    if is_descendant(process, ancestor) {
        let _gone = pidfd_send_signal(&descriptor, signal);
    }
}

/// Whether a process is a descendant of another one: its child, a child of its child, and so on. Reads `/proc`.
///
/// A host that listens on a local socket learns by it whether a server that it started has connected. The orphans of a server
/// are its descendants too, since each server has a guardian that adopts them.
///
/// # Examples
/// ```
/// use valetkey_mcp::child::is_descendant;
///
/// let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
/// assert!(is_descendant(own, parent) && !is_descendant(parent, own));
/// ```
#[must_use]
pub fn is_descendant(process: u32, ancestor: u32) -> bool {
    let mut current = process;
    while let Some(parent) = parent_of(current) {
        if parent == ancestor {
            return true;
        }
        current = parent;
    }
    false
}

/// Returns the parent of a process, and `None` for the first process.
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may contain anything; the state and the parent follow it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok().filter(|parent| *parent != 0)
}

pub(super) fn to_pid(process: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process).ok()?)
}

/// Returns the children of every thread of a process, zombies included.
pub(super) fn children_of(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    children
        .flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn kill_descendants_of_process_spares_the_process() {
        // The shell waits for its child, and then prints.
        let script = "setsid sleep 600 & wait; echo over";
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        while children_of(shell.id()).is_empty() {
            std::thread::yield_now();
        }
        kill_descendants_of(shell.id());
        assert_eq!(shell.wait_with_output().unwrap().stdout, b"over\n");
    }

    #[test]
    fn kill_descendants_of_process_kills_a_long_chain() {
        // Each shell waits for the next. The last one prints if it survives.
        let script =
            "f() { if [ $1 -gt 0 ]; then (f $(($1 - 1))) & wait; else sleep 30; echo alive; fi; }; f 30";
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        while chain_length(shell.id()) < 31 {
            std::thread::yield_now();
        }
        kill_descendants_of(shell.id());
        assert_eq!(shell.wait_with_output().unwrap().stdout, b"");
    }

    fn chain_length(process: u32) -> usize {
        std::iter::successors(Some(process), |parent| children_of(*parent).first().copied()).skip(1).count()
    }
}
