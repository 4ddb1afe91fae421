//! The folder of one started program: its `HOME`, its `TMPDIR` and its log.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::process::Command;

use crate::{Error, Result, Venv, venv::rig_dir};

static NEXT_RUN: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
}

impl RunDir {
    pub(crate) fn create(name: &str) -> Result<Self> {
        let number = NEXT_RUN.fetch_add(1, Ordering::Relaxed);
        let path = rig_dir().join("run").join(format!("{}-{name}-{number}", process::id()));
        for inner in ["home", "tmp"] {
            fs::create_dir_all(path.join(inner)).map_err(Error::io(format!("making {}", path.display())))?;
        }
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn open_log(&self) -> Result<File> {
        File::create(self.log_path()).map_err(Error::io(format!("making {}", self.log_path().display())))
    }

    /// A command of `venv` in this folder, with nothing inherited but the search path.
    pub(crate) fn command(&self, venv: Venv, program: &str) -> Result<Command> {
        let mut path = venv.path().join("bin").into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(venv.program(program)?);
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path.join("home"))
            .env("TMPDIR", self.path.join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("PYTHONUNBUFFERED", "1")
            // A script that imports another one leaves nothing beside it. Pip has compiled what is installed.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&self.path)
            .kill_on_drop(true);
        Ok(command)
    }

    /// A command of the machine's own `program` in this folder, which writes to the log. It gets a signal to end with the
    /// test that started it, also when the test is killed.
    pub(crate) fn machine_command(&self, program: &Path) -> Result<Command> {
        let log = self.open_log()?;
        let errors = log.try_clone().map_err(Error::io("sharing a peer's log"))?;
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .current_dir(&self.path)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true);
        Ok(command)
    }

    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.path).map_err(Error::io(format!("removing {}", self.path.display())))
    }
}
