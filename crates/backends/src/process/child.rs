//! One run of the program, without input, with limited output, and without processes that remain.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::{fmt, io};

use futures_util::future::try_join;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStdout, Command};
use valetkey_core::{Error, ErrorKind, Result, SecretString};

use super::output::EXPECTED_OUTPUT;

pub(super) const RUN_MANUALLY: &str = "run the program manually to see its output";
/// The limit of the output, in bytes.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;
/// Enough for the usual output, so that its secret is rarely copied in memory.
const INITIAL_OUTPUT_CAPACITY: usize = 16 * 1024;

/// A program with its arguments, its environment and its working directory.
pub(super) struct Program {
    pub(super) name: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) directory: Option<PathBuf>,
}

impl Program {
    /// Runs the program to its end and returns its output. Dropping the future kills the process group.
    pub(super) async fn output(&self) -> Result<SecretString> {
        let mut running = RunningProgram::spawn(self).map_err(|io_error| spawn_failed(&io_error))?;
        let stdout = running.0.stdout().take();
        let ((), output) = try_join(running.wait_success(), read_output(stdout)).await?;
        String::from_utf8(output).map(SecretString::from).map_err(|_| not_utf8())
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

/// Omits the arguments and the environment, which may contain a secret.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A running program and its process group.
///
/// Dropping it kills the group, so that a cancelled fetch leaves no process.
struct RunningProgram(Box<dyn ChildWrapper>);

impl RunningProgram {
    fn spawn(program: &Program) -> io::Result<Self> {
        let mut command = CommandWrap::from(program.command());
        command.wrap(ProcessGroup::leader());
        command.spawn().map(Self)
    }

    /// Waits for the end of the program, and kills the processes that remain in its group.
    async fn wait_success(&mut self) -> Result<()> {
        let status: ExitStatus = self.0.wait().await.map_err(|_| io_error())?;
        // Processes that it left in its group may hold the output open, and `read_output` waits for its end.
        self.kill_group();
        if status.success() { Ok(()) } else { Err(exit_failure(status)) }
    }

    fn kill_group(&mut self) {
        // An error means that the group has ended.
        let _gone = self.0.start_kill();
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Reads the output to its end, or to one byte beyond the limit.
async fn read_output(stdout: Option<ChildStdout>) -> Result<Vec<u8>> {
    let mut output = Vec::with_capacity(INITIAL_OUTPUT_CAPACITY);
    let stdout = stdout.ok_or_else(io_error)?;
    stdout.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut output).await.map_err(|_| io_error())?;
    if output.len() as u64 > MAX_OUTPUT_BYTES { Err(output_too_large()) } else { Ok(output) }
}

/// A missing or forbidden program needs a person. Other failures may be transient.
fn spawn_failed(error: &io::Error) -> Error {
    let (kind, rule) = match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::Invalid, "names a program or a directory that does not exist"),
        io::ErrorKind::PermissionDenied => (ErrorKind::Invalid, "names a program that may not be run"),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            (ErrorKind::Invalid, "names no possible program")
        }
        _ => (ErrorKind::Unavailable, "names a program that cannot be started now"),
    };
    Error::new(kind, format!("`program` {rule}"))
        .with_field("program")
        .with_next_step("check its path, the `PATH` of its environment, and its permissions")
}

/// Only the program knows the cause. The error is transient, so that a session keeps credentials that still work.
fn exit_failure(status: ExitStatus) -> Error {
    let message = match (status.code(), status.signal()) {
        (Some(code), _) => format!("the program ended with exit code {code}"),
        (None, Some(signal)) => format!("the program was ended by signal {signal}"),
        (None, None) => "the program failed".to_owned(),
    };
    Error::new(ErrorKind::Unavailable, message).with_next_step(RUN_MANUALLY)
}

fn io_error() -> Error {
    Error::new(ErrorKind::Unavailable, "the program could not be read").with_next_step("try again")
}

fn output_too_large() -> Error {
    Error::invalid("output", "must be at most 1 MiB").with_next_step(EXPECTED_OUTPUT)
}

fn not_utf8() -> Error {
    Error::invalid("output", "is not valid UTF-8").with_next_step(EXPECTED_OUTPUT)
}
