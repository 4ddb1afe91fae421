//! `ProcessProvider`: the output of a program, as with `credential_process` in the shared configuration files.

mod builder;
mod child;
mod output;
mod shell_words;

pub use self::builder::ProcessBuilder;

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use valetkey_core::{
    CredentialProvider, Credentials, Error, ErrorKind, ExposeSecret, Region, Result, SystemClock,
};

use self::child::{Program, RUN_MANUALLY};
use self::output::invalid_part;
use crate::validity;

const NAME: &str = "process";

/// Runs a program at each fetch and reads credentials from its standard output: the JSON of `credential_process`,
/// version 1.
///
/// The program runs without a shell, with only the environment of its description, without standard input, and in a
/// process group of its own. Its standard error is discarded, and no error contains its output. When the program ends,
/// the processes that remain in its group are killed, so a helper that must keep running has to leave the group.
///
/// Unix only. A fetch needs a tokio runtime with I/O enabled.
///
/// # Examples
///
/// ```
/// use valetkey_backends::ProcessProvider;
/// use valetkey_core::SessionContext;
///
/// # fn main() -> valetkey_core::Result<()> {
/// let provider = ProcessProvider::builder("/opt/bin/vault-aws")
///     .args(["--role", "agent"])
///     .inherit(std::env::vars_os())
///     .build()?;
/// let session = SessionContext::builder().provider(provider).build();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ProcessProvider {
    program: Program,
    timeout: Option<Duration>,
    region: Option<Region>,
}

impl ProcessProvider {
    /// Starts the description of a program: a path, or a name that is looked up in the `PATH` of its environment.
    pub fn builder(program: impl Into<OsString>) -> ProcessBuilder {
        ProcessBuilder::new(program.into())
    }

    /// Starts the description of a program with the value of `credential_process` in a shared configuration file: words
    /// separated by spaces and tabs, quoted with `'…'`, `"…"` or a backslash.
    ///
    /// # Errors
    /// `Invalid`, with the field `credential_process`, for a quote that does not end, and for a line that needs a shell,
    /// such as one with variables or pipes.
    pub fn from_command_line(line: &str) -> Result<ProcessBuilder> {
        ProcessBuilder::from_command_line(line).map_err(|error| error.with_provider(NAME))
    }

    fn new(program: Program, timeout: Option<Duration>, region: Option<Region>) -> Self {
        Self { program, timeout, region }
    }

    async fn fetch(&self) -> Result<Credentials> {
        let run = self.program.output();
        let output = match self.timeout {
            Some(limit) => timeout(limit, run).await.map_err(|_elapsed| timed_out())?,
            None => run.await,
        }?;
        let credentials =
            output::parse_output(output.expose_secret())?.region(self.region.clone()).provider(NAME);
        validity::ensure_issued_valid(credentials.build().map_err(invalid_part)?, &SystemClock)
    }
}

#[async_trait]
impl CredentialProvider for ProcessProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// - `Invalid`, with the field `program`: it does not exist or may not be run.
    /// - `Invalid`, with the field `output`: it exceeds 1 MiB, or is not JSON; the error names the line and column.
    /// - `Invalid`, with a field of the document such as `Version`: the field is missing or malformed.
    /// - `Unavailable`: the program ended with another exit code than 0, which the error names, could not be started, or
    ///   printed credentials that have expired.
    /// - `TimedOut`: the program exceeded its timeout, and was killed.
    ///
    /// # Cancel safety
    /// If the future is dropped, the process group is killed.
    async fn provide(&self) -> Result<Credentials> {
        self.fetch().await.map_err(|error| error.with_provider(NAME))
    }
}

fn timed_out() -> Error {
    Error::new(ErrorKind::TimedOut, "the program did not end in time").with_next_step(RUN_MANUALLY)
}
