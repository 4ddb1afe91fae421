//! Starting and stopping a child, with everything it started.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio as StdStdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{ChildEnvironment, Launcher, StderrTail};

/// How long a child may take to leave after its standard input was closed, and again after SIGTERM.
const STOP_GRACE_PERIOD: Duration = Duration::from_secs(2);
const SIGTERM: i32 = 15;

/// Where a child's streams lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// To the host: input and output are pipes, errors are drained and kept in part.
    Piped,
    /// Where the host's own lead.
    Inherited,
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct ChildCommand {
    /// The program: a path, or a name looked up in the child's own `CREDENTIALS_PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it runs; the host's own directory unless said.
    pub current_dir: Option<PathBuf>,
    /// Ties its life to the host's, also when the host is killed.
    pub launcher: Option<Launcher>,
}

/// A running child and its process group. Dropping it kills the whole group.
#[derive(Debug)]
pub struct ChildProcess {
    group: Box<dyn ChildWrapper>,
    pid: u32,
    stderr: StderrTail,
}

impl ChildProcess {
    /// Starts `command` with exactly this environment. Needs a tokio runtime.
    ///
    /// # Errors
    /// What the operating system answers, such as that there is no such program.
    pub fn spawn(command: ChildCommand, environment: ChildEnvironment, stdio: Stdio) -> io::Result<Self> {
        let ChildCommand { program, args, current_dir: directory, launcher } = command;
        let (program, args) = match launcher {
            Some(launcher) => launcher.command(program, args),
            None => (program, args),
        };
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(environment.into_variables());
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        if stdio == Stdio::Piped {
            command.stdin(StdStdio::piped()).stdout(StdStdio::piped()).stderr(StdStdio::piped());
        }
        let mut command = CommandWrap::from(command);
        // A program at the terminal stays in the terminal's foreground group, where Ctrl-C and job control reach it.
        if stdio == Stdio::Piped {
            command.wrap(ProcessGroup::leader());
        }
        let mut group = command.spawn()?;
        let pid = group.id().ok_or_else(|| io::Error::other("the child ended before it began"))?;
        let stderr = StderrTail::default();
        if let Some(stream) = group.stderr().take() {
            tokio::spawn(stderr.clone().drain(stream));
        }
        Ok(Self { group, pid, stderr })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What the child said on standard error.
    #[must_use]
    pub fn stderr(&self) -> &StderrTail {
        &self.stderr
    }

    /// The child's output and input, once.
    pub fn take_streams(&mut self) -> Option<(ChildStdout, ChildStdin)> {
        Some((self.group.stdout().take()?, self.group.stdin().take()?))
    }

    /// Waits for the child to end by itself. Cancel safe.
    ///
    /// # Errors
    /// What the operating system answers.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.group.wait().await
    }

    /// Sends a signal to the group.
    pub fn signal(&self, signal: i32) {
        // An error means that nobody is left to receive it.
        let _gone = self.group.signal(signal);
    }

    /// Ends the child and its group: input closed, then SIGTERM, then SIGKILL, each with two seconds to comply.
    pub async fn stop(mut self) {
        drop(self.group.stdin().take());
        if timeout(STOP_GRACE_PERIOD, self.group.wait()).await.is_err() {
            self.signal(SIGTERM);
            if timeout(STOP_GRACE_PERIOD, self.group.wait()).await.is_err() {
                let _gone = self.group.start_kill();
                let _reaped = self.group.wait().await;
            }
        }
        // Dropping `self` kills whatever the leader left behind in its group.
    }

    /// Kills the child and its group at once, and waits until the child is gone.
    pub async fn kill(mut self) {
        let _gone = self.group.start_kill();
        let _reaped = self.group.wait().await;
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // An error means that nobody is left.
        let _gone = self.group.start_kill();
    }
}
