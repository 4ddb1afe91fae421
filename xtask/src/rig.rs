//! `cargo xtask rig`: installs the real programs that tests run against.

use valetkey_rig::{
    Venv,
    install::{install, remove_stale_runs},
    java,
};

use crate::Result;

/// Installs the programs that are missing, and prints what it does.
pub fn run() -> Result<()> {
    Ok(install_rig()?)
}

pub(crate) fn install_rig() -> valetkey_rig::Result<()> {
    remove_stale_runs()?;
    for venv in Venv::ALL {
        if venv == Venv::Java
            && let Err(error) = java()
        {
            println!("rig: {}: not installed: {error}", venv.name());
            continue;
        }
        if !venv.is_built() {
            println!("rig: {}: installing; this is done once, and takes about a minute", venv.name());
        }
        let done = install(venv)?;
        let what = if done.rebuilt { "installed" } else { "already there" };
        println!("rig: {}: {what} ({:.1} s)", venv.name(), done.elapsed.as_secs_f64());
    }
    Ok(())
}
