//! `cargo xtask simulate`: simulates days of many sessions, in a release build.

use clap::Args;

use crate::{Result, step::run_cargo};

/// The options of the simulation.
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// Arguments for the simulation.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs the simulation.
///
/// # Errors
/// When the build or the simulation fails.
pub fn run(options: &SimulateArgs) -> Result<()> {
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    run_cargo(
        &[&["run", "--release", "--quiet", "--package", "valetkey-simulate", "--"][..], &arguments].concat(),
    )
}
