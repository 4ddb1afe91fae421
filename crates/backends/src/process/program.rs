//! One run of the program: nothing goes in, little may come out, and nothing of it is left behind.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use futures_util::future::try_join;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStdout, Command};
use valetkey_core::{Result, SecretString};

use super::error;

/// How much a program may print, in bytes.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;
/// Room for what programs print, so that it is seldom copied about in memory.
const INITIAL_OUTPUT_CAPACITY: usize = 16 * 1024;

/// What is run, in which environment.
pub(super) struct Program {
    pub(super) name: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) directory: Option<PathBuf>,
}

impl Program {
    /// Runs it to its end and gives what it printed. Dropping the future kills it and whatever it has started.
    pub(super) async fn output(&self) -> Result<SecretString> {
        let mut running = RunningProgram::spawn(self).map_err(|io_error| error::spawn_failed(&io_error))?;
        let stdout = running.0.stdout().take();
        let ((), printed) = try_join(running.wait_success(), read_output(stdout)).await?;
        String::from_utf8(printed).map(SecretString::from).map_err(|_| error::not_utf8())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.args).env_clear().envs(&self.environment);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// Arguments and environment may be secret.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A running program and its process group.
struct RunningProgram(Box<dyn ChildWrapper>);

impl RunningProgram {
    fn spawn(program: &Program) -> io::Result<Self> {
        let mut command = CommandWrap::from(program.command());
        command.wrap(ProcessGroup::leader());
        command.spawn().map(Self)
    }

    async fn wait_success(&mut self) -> Result<()> {
        let status: ExitStatus = self.0.wait().await.map_err(|_| error::io_error())?;
        // What it left behind may hold its output open, whose end is waited for.
        self.kill_group();
        if status.success() { Ok(()) } else { Err(error::exit_failure(status)) }
    }

    fn kill_group(&mut self) {
        // An error means that nobody is left.
        let _gone = self.0.start_kill();
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        self.kill_group();
    }
}

async fn read_output(stdout: Option<ChildStdout>) -> Result<Vec<u8>> {
    let mut printed = Vec::with_capacity(INITIAL_OUTPUT_CAPACITY);
    let stdout = stdout.ok_or_else(error::io_error)?;
    stdout.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut printed).await.map_err(|_| error::io_error())?;
    if printed.len() as u64 > MAX_OUTPUT_BYTES { Err(error::output_too_large()) } else { Ok(printed) }
}
