//! `cargo xtask soak`: runs three gateways over one Redis server for a long time, with faults, in a release build.

use clap::Args;
use valetkey_rig::target_dir;

use crate::{Result, step::run_cargo};

/// The options of the soak.
#[derive(Args, Debug)]
pub struct SoakArgs {
    /// Arguments for the program of the soak.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds valetkey and the program of the soak, and runs it.
///
/// # Errors
/// When a build fails, or the soak has found a violation.
pub fn run(options: &SoakArgs) -> Result<()> {
    run_cargo(&["build", "--release", "--package", "valetkey-cli"])?;
    let valetkey = target_dir().join("release/valetkey").display().to_string();
    let program = ["run", "--release", "--manifest-path", "bench/Cargo.toml", "--bin", "soak", "--"];
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    run_cargo(&[&program[..], &["--valetkey", &valetkey], &arguments].concat())
}
