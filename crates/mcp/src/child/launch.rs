//! The launcher: a step between host and child that ties the child's life to the host's.
//!
//! The parent-death signal can be asked for only by the child itself, between fork and exec. Doing that in this
//! process would take unsafe code; a small program that asks for it and then becomes the child does not.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// A program that calls [`become_program`]; `valetkey` itself is one.
///
/// On Linux the signal fires when the *thread* that started the child ends, so children are started from threads
/// that live as long as the host, such as the workers of a tokio runtime.
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

    pub(super) fn wrap(&self, program: OsString, args: Vec<OsString>) -> (OsString, Vec<OsString>) {
        let mut all = self.args.clone();
        all.push(std::process::id().to_string().into());
        all.push(program);
        all.extend(args);
        (self.program.clone().into_os_string(), all)
    }
}

/// The launcher's half: asks to be killed when `parent` dies, then becomes `program`. Returns only on failure.
pub fn become_program(parent: u32, program: &OsString, args: &[OsString]) -> io::Error {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // The parent may have died before the signal was armed.
    if getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get()) != i32::try_from(parent).ok() {
        return io::Error::other("the host is gone");
    }
    Command::new(program).args(args).exec()
}
