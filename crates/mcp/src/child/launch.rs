//! The launcher: a step between host and child that ties the child's life to the host's.
//!
//! Whoever would outlive the host must be killed by somebody who outlives it too, and a parent-death signal reaches
//! only the process that asked for it, not what that has started. So a small program of its own stays and watches.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, getpgrp, getpid, set_parent_process_death_signal};

use super::guard::{is_parent_alive, run_guardian};

const FIRST_NON_STDIO_FD: i32 = 3;

/// A program that calls [`run_launcher`]; `valetkey` itself is one.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Launcher {
    /// Runs `program args… PARENT-PID CHILD CHILD-ARGS…`.
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

/// From now on programs that this process starts inherit nothing but their standard streams from it. Everything that was
/// opened by other means than the standard library, or inherited, may be open in children otherwise.
///
/// A program in a terminal's group keeps what it is given: a shell passes a file as `<(…)` so.
pub fn close_descriptors_on_exec() {
    close_fds::set_fds_cloexec_threadsafe(FIRST_NON_STDIO_FD, &[]);
}

/// The launcher's half: runs `program`, which does not outlive `parent`, and gives back its exit code.
///
/// Where this process leads a group, as the launcher of a server does, it stays beside the program and kills the whole
/// group when `parent` ends. Elsewhere, as in a terminal's group, which is not its own to kill, it asks for the
/// parent-death signal and becomes the program; that fires when the *thread* that started it ends, so such children
/// are started from threads that live as long as the host, such as the workers of a tokio runtime.
///
/// To be called before anything else is started in this process.
///
/// # Errors
/// What the operating system answers when the program cannot be started, and when `parent` is gone already.
pub fn run_launcher(parent: u32, program: &OsString, args: &[OsString]) -> io::Result<ExitCode> {
    let host = i32::try_from(parent).ok().and_then(Pid::from_raw);
    let host = host.ok_or_else(|| io::Error::other("no process has such an id"))?;
    let is_group_leader = getpgrp() == getpid();
    if !is_group_leader {
        set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    // It may have ended before it was watched.
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
