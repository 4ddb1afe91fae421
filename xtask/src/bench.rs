//! `cargo xtask bench`: valetkey beside its peers, in the release build of a workspace apart.

use clap::Args;

use crate::{Result, step::cargo};

const MANIFEST: [&str; 2] = ["--manifest-path", "bench/Cargo.toml"];

/// What to measure.
#[derive(Args, Debug)]
pub struct Options {
    /// Passed on to the bench.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds every program of the bench, for some measures are taken in one of their own, and runs it.
pub fn run(options: &Options) -> Result<()> {
    cargo(&[&["build", "--release", "--bins"][..], &MANIFEST].concat())?;
    let arguments: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    cargo(&[&["run", "--release", "--quiet"][..], &MANIFEST, &["--"], &arguments].concat())
}
