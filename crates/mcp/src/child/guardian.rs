//! The guardian: the role of a launcher while its program runs, so that no process of the program's group outlives
//! the host.
//!
//! It leads the group, passes its streams on, and waits for two events: when the program exits, the guardian exits;
//! when the host exits, it kills the whole group. In both cases it first kills the descendants that have left the group.
//! It is their subreaper: a descendant whose parent has exited becomes its child.
//!
//! One thread watches the host, and the other one signals and reaps: until it reaps a process, the id of that process
//! belongs to no other.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, getppid, kill_current_process_group,
    kill_process, pidfd_open, set_child_subreaper, waitid, waitpid,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use tokio::process::Command;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::oneshot;

use super::descendants::{children_of, to_pid};

/// Polling interval for the host's existence, on kernels without pidfds.
const HOST_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How often and how long the guardian waits for killed processes to exit.
const MAX_KILL_ROUNDS: usize = 500;
const KILL_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Runs `program` in this group, which this process leads, and kills the group when `host` ends.
pub(super) fn run_guardian(host: Pid, program: &OsString, args: &[OsString]) -> io::Result<ExitCode> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        set_child_subreaper(Some(getpid()))?;
        // The program receives signals to the group directly and decides how to handle them.
        let _signal_handlers = install_signal_handlers()?;
        let host_exit = watch_host(host)?;
        let mut child = Command::new(program).args(args).spawn()?;
        detach_stdio();
        let program = child.id();
        let status = tokio::select! {
            status = child.wait() => status,
            failed = reap_orphans(program) => failed.map(|never| match never {}),
            _exited = host_exit => Err(io::Error::other("the host is gone")),
        };
        kill_descendants();
        if !is_parent_alive(host) {
            // The group includes this process, so nothing runs after this call.
            let _killed = kill_current_process_group(Signal::KILL);
        }
        status.map(exit_code)
    })
}

/// Reaps the orphans that exit before the program, so that they do not remain as zombies.
async fn reap_orphans(program: Option<u32>) -> io::Result<Infallible> {
    let mut exits = signal(SignalKind::child())?;
    loop {
        exits.recv().await;
        let is_orphan = |pid: &Pid| u32::try_from(pid.as_raw_pid()).ok() != program;
        for orphan in children().filter(is_orphan) {
            let _still_running = waitpid(Some(orphan), WaitOptions::NOHANG);
        }
    }
}

/// Kills the children of this process, and the orphans that become its children for it, until there are none.
fn kill_descendants() {
    for _ in 0..MAX_KILL_ROUNDS {
        if has_no_children() {
            return;
        }
        for child in children() {
            let _gone = kill_process(child, Signal::KILL);
            let _reaped = waitpid(Some(child), WaitOptions::NOHANG);
        }
        thread::sleep(KILL_POLL_INTERVAL);
    }
}

/// Whether this process has no child, not even a zombie. Unlike [`children`], it misses none that moves from a process
/// that exits to this one.
fn has_no_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

/// Returns the children of this process, zombies included.
fn children() -> impl Iterator<Item = Pid> {
    children_of(std::process::id()).into_iter().filter_map(to_pid)
}

/// Whether `host` is still the parent of this process.
pub(super) fn is_parent_alive(host: Pid) -> bool {
    getppid() == Some(host)
}

/// Installs handlers that do nothing. Unlike an ignored signal, a handled one is not inherited as ignored by the
/// program.
fn install_signal_handlers() -> io::Result<Vec<Signals>> {
    let kinds = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ];
    kinds.into_iter().map(signal).collect()
}

/// Detaches the standard streams. Otherwise a stream that the program closes would remain open here, and the other
/// end would not see it close.
fn detach_stdio() {
    if let Ok(dev_null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _kept = (dup2_stdin(&dev_null), dup2_stdout(&dev_null), dup2_stderr(&dev_null));
    }
}

/// Starts a thread that reports the end of `host`.
fn watch_host(host: Pid) -> io::Result<oneshot::Receiver<()>> {
    let (exited, host_exit) = oneshot::channel();
    thread::Builder::new().spawn(move || {
        wait_host_exit(host);
        let _guardian_ended = exited.send(());
    })?;
    Ok(host_exit)
}

/// Waits until `host` is no longer the parent of this process. A process id can be reused, but the parent cannot: when
/// the host ends, this process gets another parent.
fn wait_host_exit(host: Pid) {
    let watched = pidfd_open(host, PidfdFlags::empty());
    while is_parent_alive(host) {
        // Opened before the check of the parent, so the pidfd belongs to the host and not to a later process with its
        // id.
        let ended =
            watched.as_ref().is_ok_and(|fd| poll(&mut [PollFd::new(fd, PollFlags::IN)], None).is_ok());
        if !ended {
            thread::sleep(HOST_POLL_INTERVAL);
        }
    }
}

/// Returns the program's exit code, or 128 plus the signal that ended it, as shells do.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
