//! `cargo xtask bench`: measures valetkey and its competitors, in the release build of a separate workspace.

use clap::Args;

use crate::{Result, step::run_cargo};

const MANIFEST_FLAGS: [&str; 2] = ["--manifest-path", "bench/Cargo.toml"];

/// The options of the benchmark.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Arguments for the benchmark program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs the benchmark. All its programs are built, because some measurements run in a program of their own.
pub fn run(options: &BenchArgs) -> Result<()> {
    run_cargo(&[&["build", "--release", "--bins"][..], &MANIFEST_FLAGS].concat())?;
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    run_cargo(&[&["run", "--release", "--quiet"][..], &MANIFEST_FLAGS, &["--"], &arguments].concat())
}
