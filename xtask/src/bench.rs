//! `cargo xtask bench`: measures valetkey and its competitors, in the release build of a separate workspace.

use std::path::PathBuf;

use clap::Args;
use valetkey_rig::{Venv, install::install, target_dir};

use crate::{Result, step::run_cargo};

const MANIFEST_FLAGS: [&str; 2] = ["--manifest-path", "bench/Cargo.toml"];
/// The measure that runs programs that the benchmark does not build.
const GATEWAY_MEASURE: &str = "gateway";

/// The options of the benchmark.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Arguments for the benchmark program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs the benchmark. All its programs are built, because some measurements run in a program of their own.
///
/// # Errors
/// When a build, an installation or a measurement fails.
pub fn run(options: &BenchArgs) -> Result<()> {
    run_cargo(&[&["build", "--release", "--bins"][..], &MANIFEST_FLAGS].concat())?;
    let mut arguments = options.arguments.clone();
    if measures_gateways(&arguments) {
        arguments.extend(gateway_programs()?);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run_cargo(&[&["run", "--release", "--quiet"][..], &MANIFEST_FLAGS, &["--"], &arguments].concat())
}

/// Whether gateways are measured: without `--only`, all measures run.
fn measures_gateways(arguments: &[String]) -> bool {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    !has("--help") && (has(GATEWAY_MEASURE) || !has("--only"))
}

/// Builds valetkey, installs the gateways that are written in Python, and returns the options that name them.
fn gateway_programs() -> Result<[String; 4]> {
    run_cargo(&["build", "--release", "--package", "valetkey-cli"])?;
    install(Venv::Proxies)?;
    let path = |path: PathBuf| path.display().to_string();
    let valetkey = path(target_dir().join("release/valetkey"));
    let python = path(Venv::Proxies.path().join("bin"));
    Ok(["--valetkey".to_owned(), valetkey, "--python".to_owned(), python])
}
