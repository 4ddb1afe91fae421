//! Runs a Python or JavaScript program of the rig and returns what it printed.

use std::{
    ffi::{OsStr, OsString},
    process::{Output, Stdio},
    time::Duration,
};

use tokio::time::timeout;

use crate::{Error, Result, Venv, error::last_lines, folder::RunDir};

const SCRIPT_TIMEOUT: Duration = Duration::from_secs(240);

/// Runs `python ARGS…`: the first argument is the script, or an interpreter option such as `-c`.
pub async fn python<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<String> {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    Script { venv: Venv::Main, interpreter: "python", args, env: Vec::new() }.run().await
}

/// A script to run, with its arguments and the variables it sees beside `PATH`, `HOME` and `TMPDIR`.
#[derive(Clone, Debug)]
#[must_use = "a script does nothing until it is run"]
pub struct Script {
    venv: Venv,
    interpreter: &'static str,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl Script {
    /// The Python script at `path`, run in the main environment.
    pub fn new(path: impl Into<OsString>) -> Self {
        Self::python_in(Venv::Main, path)
    }

    /// The Python script at `path`, run in `venv`.
    pub fn python_in(venv: Venv, path: impl Into<OsString>) -> Self {
        Self { venv, interpreter: "python", args: vec![path.into()], env: Vec::new() }
    }

    /// The JavaScript program at `path`. It resolves packages against `RIG_NODE`; see [`packages`](crate::packages).
    pub fn node(path: impl Into<OsString>) -> Self {
        Self::node_with(Venv::Node, path)
    }

    /// The JavaScript program at `path`, with the packages of `venv`.
    pub fn node_with(venv: Venv, path: impl Into<OsString>) -> Self {
        let env = vec![("RIG_NODE".into(), venv.path().into_os_string())];
        Self { venv: Venv::Node, interpreter: "node", args: vec![path.into()], env }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds variables.
    pub fn envs<K, V>(mut self, vars: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        self.env.extend(vars.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Runs it to its end; anything but success within four minutes is an error with its last words.
    pub async fn run(self) -> Result<String> {
        let folder = RunDir::create("script")?;
        let mut command = folder.command(self.venv, self.interpreter)?;
        command.args(&self.args).envs(self.env.iter().map(|(key, value)| (key, value))).stdin(Stdio::null());
        let script = self.args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
        match timeout(SCRIPT_TIMEOUT, command.output()).await {
            Err(_) => Err(script_error(script, format!("no end within {} s", SCRIPT_TIMEOUT.as_secs()), &[])),
            Ok(output) => collect_output(script, output.map_err(Error::io("running a script"))?, folder),
        }
    }
}

fn collect_output(script: String, output: Output, folder: RunDir) -> Result<String> {
    if !output.status.success() {
        return Err(script_error(script, output.status.to_string(), &output.stderr));
    }
    folder.remove()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn script_error(script: String, outcome: String, stderr: &[u8]) -> Error {
    Error::Script { script, outcome, output: last_lines(stderr) }
}
