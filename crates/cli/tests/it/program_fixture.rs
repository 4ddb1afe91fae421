//! The program under test, started in a folder of its own with only the given environment.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Reached only if the program hangs.
const HANG_TIMEOUT: Duration = Duration::from_secs(120);

/// Characters that a terminal obeys: an escape sequence, a bell, a carriage return, a C1 control and
/// a bidirectional override.
pub(crate) const CONTROL_CHARACTERS: &str = "\u{1b}[2J\u{7}\r\u{9b}\u{202e}";

/// The folder and the environment variables with which a user starts the program.
pub(crate) struct ProgramFixture {
    folder: TempDir,
    /// The folder of sockets, apart so that it is not among the files.
    runtime_dir: TempDir,
    env: Vec<(String, OsString)>,
}

/// The exit code and the output of a program.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ProgramOutput {
    /// Asserts that the output has no character that controls a terminal.
    pub(crate) fn assert_printable(&self) {
        let controls = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!self.combined_output().contains(controls), "{:?}", self.combined_output());
    }

    /// Returns the output on both streams.
    pub(crate) fn combined_output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl ProgramFixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime_dir = tempfile::tempdir().unwrap();
        let mut env = vec![
            ("HOME".to_owned(), folder.path().into()),
            ("XDG_RUNTIME_DIR".to_owned(), runtime_dir.path().into()),
        ];
        env.extend(std::env::var_os("PATH").map(|path| ("PATH".to_owned(), path)));
        Self { folder, runtime_dir, env }
    }

    /// Writes a file to the folder. For `valetkey.toml`, the environment names the file too, so that it needs no
    /// consent.
    pub(crate) fn file(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let fixture = self.discovered_file(name, contents);
        if name == "valetkey.toml" { fixture.env("VALETKEY_CONFIG", name) } else { fixture }
    }

    /// Writes a file to the folder that neither the environment nor an option names.
    pub(crate) fn discovered_file(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), contents).unwrap();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn envs(self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        variables.into_iter().fold(self, |fixture, (name, value)| fixture.env(&name, value))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the folder of this user for sockets.
    pub(crate) fn runtime_dir(&self) -> &Path {
        self.runtime_dir.path()
    }

    /// Returns the names of the files in the folder.
    pub(crate) fn file_names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Starts `valetkey` with these arguments. It is killed when the handle is dropped.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.start_program(env!("CARGO_BIN_EXE_valetkey"), args)
    }

    /// Starts another program in the same folder and environment.
    pub(crate) fn start_program(&self, program: &str, args: &[&str]) -> Child {
        Command::new(program)
            .args(args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Runs `valetkey` to its end, with empty input.
    pub(crate) async fn run(&self, args: &[&str]) -> ProgramOutput {
        Self::wait_for_output(self.start(args)).await
    }

    /// Runs another program to its end, in the same folder and environment.
    pub(crate) async fn run_program(&self, program: &str, args: &[&str]) -> ProgramOutput {
        Self::wait_for_output(self.start_program(program, args)).await
    }

    pub(crate) async fn wait_for_output(started: Child) -> ProgramOutput {
        // Waiting for the output closes the input.
        let output = timeout(HANG_TIMEOUT, started.wait_with_output()).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        ProgramOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
