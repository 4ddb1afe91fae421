//! One command of a chore: shown, run in the workspace's root, timed.

use std::{process::Command, time::Instant};

use crate::{Failure, Result, root};

/// Runs `cargo` with these arguments; its output goes to the terminal.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    cargo_with(arguments, &[])
}

/// Runs `cargo` with these arguments and variables.
pub(crate) fn cargo_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let command = format!("cargo {}", arguments.join(" "));
    println!("$ {command}");
    let status =
        Command::new("cargo").args(arguments).envs(variables.iter().copied()).current_dir(root()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Command { command, status }),
        Err(source) => Err(Failure::Start { command, source }),
    }
}

/// Whether `cargo NAME` is installed.
pub(crate) fn has_cargo(name: &str) -> bool {
    Command::new("cargo").args([name, "--version"]).output().is_ok_and(|output| output.status.success())
}

/// Runs a step under a heading, and says how long it took.
pub(crate) fn timed(name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    let start = Instant::now();
    step()?;
    println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
