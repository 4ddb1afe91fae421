//! `cargo xtask bench`: valetkey beside its peers, in the release build of a workspace apart.

use clap::Args;

use crate::{Result, step::run_cargo};

const MANIFEST_FLAGS: [&str; 2] = ["--manifest-path", "bench/Cargo.toml"];

/// What to measure.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Passed on to the bench.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds every program of the bench, for some measures are taken in one of their own, and runs it.
pub fn run(options: &BenchArgs) -> Result<()> {
    run_cargo(&[&["build", "--release", "--bins"][..], &MANIFEST_FLAGS].concat())?;
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    run_cargo(&[&["run", "--release", "--quiet"][..], &MANIFEST_FLAGS, &["--"], &arguments].concat())
}
