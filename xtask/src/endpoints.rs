//! `cargo xtask endpoints`: writes the routing table of the signing proxy from the service metadata of botocore.

use std::{fs, process::Command};

use valetkey_rig::Venv;

use crate::{Result, XtaskError, rig, workspace_root};

const SCRIPT: &str = "rig/python/endpoints.py";
const TABLE: &str = "crates/signing/data/endpoints.json";

/// Runs the script in the rig's environment with the newest botocore, and replaces the table.
///
/// # Errors
/// The rig's, that of the script, and that of writing the table.
pub fn run() -> Result<()> {
    rig::install_rig()?;
    let (root, command) = (workspace_root(), format!("python {SCRIPT}"));
    let output = Command::new(Venv::Botocore.program("python")?)
        .arg(root.join(SCRIPT))
        .output()
        .map_err(|source| XtaskError::CommandNotStarted { command: command.clone(), source })?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(XtaskError::CommandFailed { command, status: output.status });
    }
    fs::write(root.join(TABLE), &output.stdout).map_err(|error| XtaskError::write_failed(TABLE, &error))?;
    println!("{TABLE}: {} bytes", output.stdout.len());
    Ok(())
}
