//! Runs a command of a task: printed, in the root of the workspace, and timed.

use std::{process::Command, time::Instant};

use crate::{Result, XtaskError, workspace_root};

/// Runs `cargo` with these arguments. Its output goes to the terminal.
pub(crate) fn run_cargo(arguments: &[&str]) -> Result<()> {
    run_cargo_with_env(arguments, &[])
}

/// Runs `cargo` with these arguments and environment variables.
pub(crate) fn run_cargo_with_env(arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let command = format!("cargo {}", arguments.join(" "));
    println!("$ {command}");
    let status = Command::new("cargo")
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(workspace_root())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(XtaskError::CommandFailed { command, status }),
        Err(source) => Err(XtaskError::CommandNotStarted { command, source }),
    }
}

/// Whether `cargo NAME` is installed.
pub(crate) fn has_cargo_subcommand(name: &str) -> bool {
    Command::new("cargo").args([name, "--version"]).output().is_ok_and(|output| output.status.success())
}

/// Runs a step under a heading and prints its duration.
pub(crate) fn run_timed(name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    let start = Instant::now();
    step()?;
    println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
