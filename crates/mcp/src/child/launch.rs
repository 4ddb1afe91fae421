//! The launcher: a process between host and child that ends the child when the host ends.
//!
//! Killing the processes that would outlive a killed host requires another process that outlives it. A parent-death
//! signal is not sufficient, because it reaches only the process that requested it, and none of its descendants. So
//! the launcher keeps running and watches the host.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use rustix::process::{Signal, getpgrp, getpid, set_parent_process_death_signal};

use super::descendants::to_pid;
use super::guardian::{is_parent_alive, run_guardian};

const FIRST_NON_STDIO_FD: i32 = 3;

/// A program that calls [`run_launcher`], such as `valetkey` itself.
///
/// # Examples
/// ```
/// use valetkey_mcp::child::Launcher;
///
/// // Runs `/usr/bin/valetkey launch PARENT-PID CHILD CHILD-ARGS…`.
/// let launcher = Launcher::new("/usr/bin/valetkey", ["launch"]);
/// ```
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Launcher {
    /// Creates a launcher that runs `program args… PARENT-PID CHILD CHILD-ARGS…`.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { program: program.into(), args: args.into_iter().map(Into::into).collect() }
    }

    pub(super) fn command(&self, program: OsString, args: Vec<OsString>) -> (OsString, Vec<OsString>) {
        let mut all = self.args.clone();
        all.push(std::process::id().to_string().into());
        all.push(program);
        all.extend(args);
        (self.program.clone().into_os_string(), all)
    }
}

/// Makes programs that this process starts from now on inherit only their standard streams. Otherwise children may
/// inherit descriptors that were inherited themselves or opened without the standard library.
///
/// Not used for a program in a terminal's group, which keeps its descriptors: a shell passes a file as `<(…)` in this
/// way.
pub fn close_descriptors_on_exec() {
    close_fds::set_fds_cloexec_threadsafe(FIRST_NON_STDIO_FD, &[]);
}

/// Runs `program` so that it does not outlive `parent`, and returns its exit code. This is the entry point of the
/// launcher process.
///
/// If this process leads a process group, as the launcher of a server does, it keeps running beside the program and
/// kills the whole group when `parent` ends. Otherwise the group, such as a terminal's, is not its own to kill. It
/// then requests the parent-death signal and replaces itself with the program. That signal fires when the *thread*
/// that started it ends, so such children are started from threads that live as long as the host, such as the workers
/// of a tokio runtime.
///
/// Call it before this process starts anything else.
///
/// # Errors
/// Returns the error of the operating system if the program cannot be started, and an error if `parent` has already
/// ended.
///
/// # Examples
/// The `main` function of a launcher:
/// ```no_run
/// use std::ffi::OsString;
/// use std::process::ExitCode;
/// use valetkey_mcp::child::run_launcher;
///
/// fn main() -> std::io::Result<ExitCode> {
///     let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
///     let [parent, program, rest @ ..] = arguments.as_slice() else {
///         return Err(std::io::Error::other("usage: launcher PARENT-PID PROGRAM [ARGUMENT]…"));
///     };
///     let parent = parent.to_str().and_then(|id| id.parse().ok()).unwrap_or_default();
///     run_launcher(parent, program, rest)
/// }
/// ```
pub fn run_launcher(parent: u32, program: &OsString, args: &[OsString]) -> io::Result<ExitCode> {
    let host = to_pid(parent).ok_or_else(|| io::Error::other("no process has such an id"))?;
    let is_group_leader = getpgrp() == getpid();
    if !is_group_leader {
        set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    // The host may have ended before this point.
    if !is_parent_alive(host) {
        return Err(io::Error::other("the host is gone"));
    }
    if is_group_leader {
        close_descriptors_on_exec();
        run_guardian(host, program, args)
    } else {
        Err(Command::new(program).args(args).exec())
    }
}
