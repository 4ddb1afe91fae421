//! `ProcessProvider`: the output of a program, as with `credential_process` in the shared configuration files.

mod child;
mod shell_words;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use valetkey_core::{
    CredentialProvider, Credentials, Error, ErrorKind, ExposeSecret, Region, Result, SystemClock,
};

use self::child::{Program, RUN_MANUALLY, invalid_part, parse_output};
use self::shell_words::needs_shell;
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
        let credentials = parse_output(output.expose_secret())?.region(self.region.clone()).provider(NAME);
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

/// The variables that [`ProcessBuilder::inherit`] takes over.
const INHERITED_VARIABLES: [&str; 18] = [
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "USER",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// Describes a [`ProcessProvider`].
///
/// # Examples
///
/// ```
/// use valetkey_backends::ProcessProvider;
///
/// # fn main() -> valetkey_core::Result<()> {
/// let provider = ProcessProvider::from_command_line("vault-aws --role 'the agent'")?
///     .inherit(std::env::vars_os())
///     .env("VAULT_ADDR", "https://vault.example")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct ProcessBuilder {
    program: Program,
    timeout: Option<Duration>,
    region: Option<Region>,
}

impl ProcessBuilder {
    fn new(name: OsString) -> Self {
        let program = Program { name, args: Vec::new(), environment: BTreeMap::new(), directory: None };
        Self { program, timeout: None, region: None }
    }

    fn from_command_line(line: &str) -> Result<Self> {
        let mut words = shell_words::split_words(line)?.into_iter();
        // `build` reports an empty name.
        let name = words.next().unwrap_or_default();
        // A shell would treat this word as an assignment to a variable.
        if name.contains('=') { Err(needs_shell()) } else { Ok(Self::new(name.into()).args(words)) }
    }

    /// Adds an argument. Other users of the machine can see the arguments of a process, so they must not contain a secret.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.program.args.push(arg.into());
        self
    }

    /// Adds arguments, which must not contain a secret.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.program.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the program's environment, which is empty by default.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.program.environment.insert(name.into(), value.into());
        self
    }

    /// Sets variables of the program's environment. With `std::env::vars_os()`, these are all variables of this process,
    /// including the host's own keys: consider [`inherit`](Self::inherit).
    pub fn envs(
        mut self,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.program.environment.extend(variables);
        self
    }

    /// Takes over those of `variables`, such as `std::env::vars_os()`, that most programs need and that contain no
    /// identity: `HOME`, `LOGNAME`, `PATH`, `SHELL`, `TERM`, `USER`, `LANG`, `LC_ALL`, `TMPDIR`, `TZ`, and the proxies
    /// (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper and lower case). Variables that are set with
    /// [`env`](Self::env) or [`envs`](Self::envs) take precedence.
    pub fn inherit(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let is_inherited = |name: &OsStr| INHERITED_VARIABLES.iter().any(|variable| name == *variable);
        for (name, value) in variables.into_iter().filter(|(name, _)| is_inherited(name)) {
            self.program.environment.entry(name).or_insert(value);
        }
        self
    }

    /// Sets the working directory of the program (default: the directory of this process).
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.program.directory = Some(directory.into());
        self
    }

    /// Resolves a relative path of the program, such as `./credentials`, in `folder`. A name without a path is still looked
    /// up in `PATH`, and arguments do not change.
    pub fn relative_to(mut self, folder: impl AsRef<Path>) -> Self {
        let name = Path::new(&self.program.name);
        if name.is_relative() && name.components().nth(1).is_some() {
            self.program.name = folder.as_ref().join(name).into();
        }
        self
    }

    /// Sets how long a run may take: 1 s to 1 h (default: the load timeout of the session, which ends it in any case).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the region of the credentials (default: none; the output of a program has no region).
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Checks the description and returns the provider. Runs nothing yet.
    ///
    /// # Errors
    /// `Invalid`, with the field `program` if it is empty, or `timeout` if it is outside its limits.
    pub fn build(self) -> Result<ProcessProvider> {
        if self.program.name.is_empty() {
            return Err(empty_program().with_provider(NAME));
        }
        let limits = Duration::from_secs(1)..=Duration::from_secs(3_600);
        if self.timeout.is_some_and(|timeout| !limits.contains(&timeout)) {
            return Err(invalid_timeout().with_provider(NAME));
        }
        Ok(ProcessProvider::new(self.program, self.timeout, self.region))
    }
}

impl fmt::Debug for ProcessBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessBuilder").field("program", &self.program).finish_non_exhaustive()
    }
}

fn invalid_timeout() -> Error {
    Error::invalid("timeout", "must be 1 s to 1 h")
}

fn empty_program() -> Error {
    Error::invalid("program", "must not be empty").with_next_step("name the program to run")
}
