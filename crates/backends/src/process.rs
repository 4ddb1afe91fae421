//! Process: credentials that a program prints, as `credential_process` of the shared configuration files has it.

mod builder;
mod child;
mod output;
mod shell_words;

pub use builder::ProcessBuilder;

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use valetkey_core::{
    CredentialProvider, Credentials, Error, ErrorKind, ExposeSecret, Region, Result, SystemClock,
};

use crate::validity;
use child::{Program, RUN_MANUALLY};
use output::invalid_part;

const NAME: &str = "process";

/// Runs a program at every fetch and reads what it prints: the JSON of `credential_process`, version 1.
///
/// ```
/// # use valetkey_backends::ProcessProvider;
/// # fn example() -> valetkey_core::Result<ProcessProvider> {
/// ProcessProvider::builder("/opt/bin/vault-aws").args(["--role", "agent"]).inherit(std::env::vars_os()).build()
/// # }
/// ```
///
/// No shell is involved. The program gets the environment that it is given here and nothing else, no standard input,
/// and a process group of its own. Dropping the future kills the whole group, as the session does when its load
/// time-out has passed; what the program leaves running in its group is killed when it ends, so a helper that means to
/// stay must leave the group. Its standard error goes nowhere, and what it prints is shown nowhere.
///
/// Unix only. A fetch needs a tokio runtime with I/O enabled.
#[derive(Debug)]
pub struct ProcessProvider {
    program: Program,
    timeout: Option<Duration>,
    region: Option<Region>,
}

impl ProcessProvider {
    /// Describes a program: a path, or a name that is looked up in the `PATH` it is given.
    pub fn builder(program: impl Into<OsString>) -> ProcessBuilder {
        ProcessBuilder::new(program.into())
    }

    /// Describes a program by the line that stands behind `credential_process` in a shared configuration file: words
    /// parted by blanks, quoted with `'…'`, `"…"` or a backslash.
    ///
    /// # Errors
    /// `Invalid`, with the field `credential_process`, for a quote without its end, and for what only a shell could do,
    /// such as variables and pipes.
    pub fn from_command_line(line: &str) -> Result<ProcessBuilder> {
        ProcessBuilder::from_command_line(line).map_err(|error| error.with_provider(NAME))
    }

    fn new(program: Program, timeout: Option<Duration>, region: Option<Region>) -> Self {
        Self { program, timeout, region }
    }

    async fn fetch(&self) -> Result<Credentials> {
        let output = self.program.output();
        let printed = match self.timeout {
            Some(limit) => timeout(limit, output).await.map_err(|_elapsed| timed_out())?,
            None => output.await,
        }?;
        let set = output::parse_output(printed.expose_secret())?.region(self.region.clone()).provider(NAME);
        validity::ensure_issued_valid(set.build().map_err(invalid_part)?, &SystemClock)
    }
}

#[async_trait]
impl CredentialProvider for ProcessProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// `Invalid`, with the field `program`, for one that does not exist or may not be run; with the field `output`, for
    /// more than 1 MiB or what is not JSON, by line and column; with the field of the document, such as `Version`, for
    /// one that is missing or malformed. `Unavailable` when the program ends with another exit code than 0, which is
    /// told, or cannot be started for now, and when its credentials had expired when they came; `TimedOut` when it takes
    /// longer than it may, and is killed.
    async fn provide(&self) -> Result<Credentials> {
        self.fetch().await.map_err(|error| error.with_provider(NAME))
    }
}

fn timed_out() -> Error {
    Error::new(ErrorKind::TimedOut, "the program did not end in time").with_next_step(RUN_MANUALLY)
}
