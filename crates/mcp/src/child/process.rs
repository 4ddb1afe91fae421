//! Starts and stops a child and its descendants.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio as StdStdio};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::descendants::kill_descendants_of;
use super::{ChildEnvironment, Launcher, StderrTail};

/// How long a child may take to exit after its standard input is closed, and again after SIGTERM.
const STOP_GRACE_PERIOD: Duration = Duration::from_secs(2);
const SIGTERM: i32 = 15;

/// Where a child's standard streams lead.
///
/// | variant | standard input and output | standard error | process group |
/// |---|---|---|---|
/// | `Piped` | pipes to the host | drained, its end kept | one of its own |
/// | `Inherited` | the host's | the host's | the host's, so that Ctrl-C reaches the child |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stdio {
    /// To the host: input and output are pipes; standard error is drained, and its end is kept.
    Piped,
    /// To the host's own standard streams.
    Inherited,
}

/// A program to run as a child.
///
/// # Examples
/// ```
/// use valetkey_mcp::child::ChildCommand;
///
/// let command = ChildCommand::new("aws").args(["s3", "ls"]).current_dir("/srv/agent");
/// assert_eq!(command.args, ["s3", "ls"]);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChildCommand {
    /// The program: a path, or a name to look up in the child's own `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The working directory (default: that of the host).
    pub current_dir: Option<PathBuf>,
    /// Ends the child when the host ends, even if the host is killed.
    pub launcher: Option<Launcher>,
}

impl ChildCommand {
    /// Creates a command without arguments, which runs in the host's working directory.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::ChildCommand;
    ///
    /// let command = ChildCommand::new("aws");
    /// assert_eq!(command.program, "aws");
    /// assert!(command.args.is_empty() && command.current_dir.is_none());
    /// ```
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), args: Vec::new(), current_dir: None, launcher: None }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(directory.into());
        self
    }

    /// Runs the program under a launcher, which ends it when the host ends, even if the host is killed.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::{ChildCommand, Launcher};
    ///
    /// let command = ChildCommand::new("report").launcher(Launcher::new("/usr/bin/valetkey", ["launch"]));
    /// assert!(command.launcher.is_some());
    /// ```
    #[must_use]
    pub fn launcher(mut self, launcher: Launcher) -> Self {
        self.launcher = Some(launcher);
        self
    }
}

/// A running child and its process group. Dropping it kills the whole group.
///
/// # Examples
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, Stdio};
///
/// let host = HostEnvironment::from_process();
/// let command = ChildCommand::new("env");
/// let mut child = ChildProcess::spawn(command, ChildEnvironment::new(&host, []), Stdio::Inherited)?;
/// let status = child.wait().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ChildProcess {
    group: Box<dyn ChildWrapper>,
    pid: u32,
    stderr: StderrTail,
}

impl ChildProcess {
    /// Starts `command` with exactly this environment. Requires a tokio runtime.
    ///
    /// With [`Stdio::Piped`], a task drains standard error until the stream ends.
    ///
    /// # Errors
    /// Returns the error of the operating system, for example if the program does not exist.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, Stdio};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let environment = ChildEnvironment::new(&HostEnvironment::from_process(), []);
    /// let command = ChildCommand::new("sh").args(["-c", "exit 3"]);
    /// let mut child = ChildProcess::spawn(command, environment, Stdio::Inherited)?;
    /// assert_eq!(child.wait().await?.code(), Some(3));
    /// # Ok(())
    /// # }
    /// ```
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

    /// Returns the process id of the child, or of its launcher if it has one.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the end of the child's standard error.
    ///
    /// It is empty for [`Stdio::Inherited`].
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::Redactor;
    /// use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, Stdio};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let environment = ChildEnvironment::new(&HostEnvironment::from_process(), []);
    /// let command = ChildCommand::new("sh").args(["-c", "echo no such table >&2"]);
    /// let child = ChildProcess::spawn(command, environment, Stdio::Piped)?;
    /// child.stderr().wait_drained().await;
    /// assert_eq!(child.stderr().last_lines(&Redactor::default(), 1), "no such table");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stderr(&self) -> &StderrTail {
        &self.stderr
    }

    /// Returns the child's output and input on the first call, and `None` afterwards or if they are not piped.
    ///
    /// # Examples
    /// ```no_run
    /// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    /// use valetkey_mcp::child::ChildProcess;
    ///
    /// # async fn example(child: &mut ChildProcess) -> std::io::Result<()> {
    /// if let Some((output, mut input)) = child.take_streams() {
    ///     input.write_all(b"ping\n").await?;
    ///     let answer = BufReader::new(output).lines().next_line().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_streams(&mut self) -> Option<(ChildStdout, ChildStdin)> {
        Some((self.group.stdout().take()?, self.group.stdin().take()?))
    }

    /// Waits until the child exits by itself.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    ///
    /// # Cancel safety
    /// This method is cancel safe: dropping the future does not affect the child.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.group.wait().await
    }

    /// Sends a signal to the group.
    ///
    /// A group that has ended is not an error: the signal is then sent to no process.
    ///
    /// # Examples
    /// ```
    /// use std::os::unix::process::ExitStatusExt;
    /// use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, Stdio};
    ///
    /// const SIGTERM: i32 = 15;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let environment = ChildEnvironment::new(&HostEnvironment::from_process(), []);
    /// let command = ChildCommand::new("sleep").args(["60"]);
    /// let mut child = ChildProcess::spawn(command, environment, Stdio::Piped)?;
    /// child.signal(SIGTERM);
    /// assert_eq!(child.wait().await?.signal(), Some(SIGTERM));
    /// # Ok(())
    /// # }
    /// ```
    pub fn signal(&self, signal: i32) {
        // An error means that the group has ended.
        let _gone = self.group.signal(signal);
    }

    /// Ends the child and its group: closes its input, then sends SIGTERM, then SIGKILL, with two seconds after each
    /// of the first two.
    ///
    /// A program that ignores both takes four seconds to stop.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, HostEnvironment, Stdio};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # let environment = ChildEnvironment::new(&HostEnvironment::from_process(), []);
    /// // `cat` ends as soon as its input is closed, so no signal is needed.
    /// let child = ChildProcess::spawn(ChildCommand::new("cat"), environment, Stdio::Piped)?;
    /// child.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future kills the group at once.
    pub async fn stop(mut self) {
        self.stop_gracefully().await;
        // Dropping `self` kills the remaining processes of the group.
    }

    /// As [`stop`](Self::stop), but kills the child and its group at once when `kill` fires. Waits until the child has
    /// exited in either case.
    pub(crate) async fn stop_or_kill(mut self, kill: &CancellationToken) {
        tokio::select! {
            biased;
            () = kill.cancelled() => {}
            () = self.stop_gracefully() => return,
        }
        self.kill().await;
    }

    async fn stop_gracefully(&mut self) {
        drop(self.group.stdin().take());
        if timeout(STOP_GRACE_PERIOD, self.group.wait()).await.is_err() {
            self.signal(SIGTERM);
            if timeout(STOP_GRACE_PERIOD, self.group.wait()).await.is_err() {
                self.start_kill();
                let _reaped = self.group.wait().await;
            }
        }
    }

    /// Kills the child and its group at once, and waits until the child has exited.
    ///
    /// # Cancel safety
    /// Dropping the future kills the group too, without waiting.
    pub async fn kill(mut self) {
        self.start_kill();
        let _reaped = self.group.wait().await;
    }

    /// Kills the group, and the descendants that have left it, while the leader still runs: without it, they would have
    /// another parent and could not be found.
    fn start_kill(&mut self) {
        if matches!(self.group.try_wait(), Ok(None)) {
            kill_descendants_of(self.pid());
        }
        // An error means that the group has ended.
        let _gone = self.group.start_kill();
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.start_kill();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::HostEnvironment;
    use super::*;

    #[tokio::test]
    async fn stop_or_kill_killed_child_is_awaited() {
        let host = HostEnvironment::new([("PATH".into(), "/usr/bin:/bin".into())]);
        let command = ChildCommand::new("sleep").args(["600"]);
        let child = ChildProcess::spawn(command, ChildEnvironment::new(&host, []), Stdio::Piped).unwrap();
        let proc_dir = format!("/proc/{}", child.pid());
        assert!(Path::new(&proc_dir).exists());
        let kill = CancellationToken::new();
        kill.cancel();
        child.stop_or_kill(&kill).await;
        assert!(!Path::new(&proc_dir).exists(), "neither running nor a zombie");
    }
}
