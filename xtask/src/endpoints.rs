//! `cargo xtask endpoints`: writes the tables of the signing proxy from the service metadata of botocore.

use std::{fs, process::Command};

use valetkey_rig::Venv;

use crate::{Result, XtaskError, rig, workspace_root};

/// The scripts, and the tables that they print.
const TABLES: [(&str, &str); 2] = [
    ("rig/python/endpoints.py", "crates/signing/data/endpoints.json"),
    ("rig/python/operations.py", "crates/signing/data/operations.txt"),
];

/// Runs the scripts in the rig's environment with the newest botocore, and replaces the tables.
///
/// # Errors
/// The rig's, that of a script, and that of writing a table.
pub fn run() -> Result<()> {
    rig::install_rig()?;
    TABLES.into_iter().try_for_each(|(script, table)| write_table(script, table))
}

fn write_table(script: &str, table: &str) -> Result<()> {
    let (root, command) = (workspace_root(), format!("python {script}"));
    let output = Command::new(Venv::Botocore.program("python")?)
        .arg(root.join(script))
        .output()
        .map_err(|source| XtaskError::CommandNotStarted { command: command.clone(), source })?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(XtaskError::CommandFailed { command, status: output.status });
    }
    fs::write(root.join(table), &output.stdout).map_err(|error| XtaskError::write_failed(table, &error))?;
    println!("{table}: {} bytes", output.stdout.len());
    Ok(())
}
