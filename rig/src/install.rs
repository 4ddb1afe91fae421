//! Makes the virtual environments: once, whole or not at all, and nothing outside the target folder.

mod interpreter;

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{Error, Result, Venv, error::last_lines, packages, venv::rig_dir};

/// What [`install`] did.
#[derive(Clone, Copy, Debug)]
pub struct Installed {
    /// The environment.
    pub venv: Venv,
    /// Whether it had to be made anew.
    pub rebuilt: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// Makes sure that `venv` holds what its requirements file says.
pub fn install(venv: Venv) -> Result<Installed> {
    let start = Instant::now();
    let install_lock = acquire_lock()?;
    let fresh = !venv.is_built();
    if fresh {
        build(venv, &install_lock)?;
    }
    Ok(Installed { venv, rebuilt: fresh, elapsed: start.elapsed() })
}

/// Removes what test runs left behind whose process has ended: the folders of failed tests.
pub fn remove_stale_runs() -> Result<()> {
    let Ok(runs) = fs::read_dir(rig_dir().join("run")) else { return Ok(()) };
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
fn build(venv: Venv, install_lock: &File) -> Result<()> {
    let python = interpreter::find_python()?;
    let path = venv.path();
    if path.exists() {
        fs::remove_dir_all(&path).map_err(Error::io(format!("removing {}", path.display())))?;
    }
    create_venv(venv, &python)?;
    install_requirements(venv, install_lock)?;
    if !packages::manifests(venv).is_empty() {
        packages::install_packages(venv)?;
    }
    if venv == Venv::Workflow {
        packages::fetch_uv_tools()?;
    }
    fs::write(venv.stamp_path(), venv.fingerprint()?).map_err(Error::io("writing the rig's stamp"))
}

fn create_venv(venv: Venv, python: &str) -> Result<()> {
    let output = Command::new(python).args(["-m", "venv"]).arg(venv.path()).output();
    let output = output.map_err(Error::io(format!("running {python}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::NoVenvModule { python: python.to_owned(), output: last_lines(&said) })
}

/// Pip holds the lock as its standard input. If this process is killed, no other installation starts before pip exits.
fn install_requirements(venv: Venv, install_lock: &File) -> Result<()> {
    let scratch = rig_dir().join("tmp");
    fs::create_dir_all(&scratch).map_err(Error::io("making the rig's scratch folder"))?;
    let lock = install_lock.try_clone().map_err(Error::io("sharing the rig's lock"))?;
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
        .args(if venv == Venv::Java { &["--no-deps"][..] } else { &[] })
        .arg("--requirement")
        .arg(venv.requirements_path())
        .env("TMPDIR", &scratch)
        .stdin(lock)
        .output()
        .map_err(Error::io("running pip"))?;
    if output.status.success() {
        return Ok(());
    }
    let requirements = venv.requirements_path().display().to_string();
    Err(Error::Pip { requirements, output: last_lines(&[output.stdout, output.stderr].concat()) })
}

/// Two cargo commands at once must not build the same environment.
fn acquire_lock() -> Result<File> {
    let doing = "locking the rig's folder";
    fs::create_dir_all(rig_dir()).map_err(Error::io(doing))?;
    let file = File::create(rig_dir().join("install.lock")).map_err(Error::io(doing))?;
    file.lock().map_err(Error::io(doing))?;
    Ok(file)
}
