//! Makes the virtual environments: once, whole or not at all, and nothing outside the target folder.

mod interpreter;

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{Error, Result, Venv, error::tail, packages, venv::root};

/// What [`install`] did.
#[derive(Clone, Copy, Debug)]
pub struct Installed {
    /// The environment.
    pub venv: Venv,
    /// Whether it had to be made anew.
    pub fresh: bool,
    /// How long it took.
    pub took: Duration,
}

/// Makes sure that `venv` holds what its requirements file says.
pub fn install(venv: Venv) -> Result<Installed> {
    let start = Instant::now();
    let alone = lock()?;
    let fresh = !venv.is_built();
    if fresh {
        build(venv, &alone)?;
    }
    Ok(Installed { venv, fresh, took: start.elapsed() })
}

/// Removes what test runs left behind whose process has ended: the folders of failed tests.
pub fn sweep() -> Result<()> {
    let Ok(runs) = fs::read_dir(root().join("run")) else { return Ok(()) };
    for run in runs.flatten() {
        let name = run.file_name().to_string_lossy().into_owned();
        let process = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            fs::remove_dir_all(run.path())
                .map_err(Error::io(format!("removing {}", run.path().display())))?;
        }
    }
    Ok(())
}

/// The stamp is written last: an environment without it was interrupted, and is made again.
fn build(venv: Venv, alone: &File) -> Result<()> {
    let python = interpreter::find()?;
    let path = venv.path();
    if path.exists() {
        fs::remove_dir_all(&path).map_err(Error::io(format!("removing {}", path.display())))?;
    }
    create(venv, &python)?;
    fill(venv, alone)?;
    if venv == Venv::Node {
        packages::install(venv)?;
    }
    fs::write(venv.stamp(), venv.fingerprint()?).map_err(Error::io("writing the rig's stamp"))
}

fn create(venv: Venv, python: &str) -> Result<()> {
    let output = Command::new(python).args(["-m", "venv"]).arg(venv.path()).output();
    let output = output.map_err(Error::io(format!("running {python}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::NoVenvModule { python: python.to_owned(), output: tail(&said) })
}

/// Pip holds the lock as its standard input: if we are killed, nobody else begins before it has ended.
fn fill(venv: Venv, alone: &File) -> Result<()> {
    let scratch = root().join("tmp");
    fs::create_dir_all(&scratch).map_err(Error::io("making the rig's scratch folder"))?;
    let lock = alone.try_clone().map_err(Error::io("sharing the rig's lock"))?;
    let output = Command::new(venv.path().join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-cache-dir",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .arg("--requirement")
        .arg(venv.requirements())
        .env("TMPDIR", &scratch)
        .stdin(lock)
        .output()
        .map_err(Error::io("running pip"))?;
    if output.status.success() {
        return Ok(());
    }
    let requirements = venv.requirements().display().to_string();
    Err(Error::Pip { requirements, output: tail(&[output.stdout, output.stderr].concat()) })
}

/// Two cargo commands at once must not build the same environment.
fn lock() -> Result<File> {
    let doing = "locking the rig's folder";
    fs::create_dir_all(root()).map_err(Error::io(doing))?;
    let file = File::create(root().join("install.lock")).map_err(Error::io(doing))?;
    file.lock().map_err(Error::io(doing))?;
    Ok(file)
}
