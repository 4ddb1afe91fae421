//! `cargo xtask ci`: runs every check that a change must pass.

use std::thread;

use crate::{
    Result, XtaskError, api, rig,
    step::{has_cargo_subcommand, run_cargo, run_cargo_with_env, run_timed},
    test, tidy,
};

/// The name of a step, and its action.
type Step = (&'static str, fn() -> Result<()>);

/// Quick steps first, tests last. `valetkey demo` is one of the tests: a release build of it takes ten minutes more.
const STEPS: [Step; 10] = [
    ("fetch", || run_cargo(&["fetch", "--locked", "--target", "host-tuple"])),
    ("format", check_format),
    ("tidy", tidy::run),
    ("dependencies", check_dependencies),
    ("lint", run_lints),
    ("features", check_features),
    ("documentation", build_documentation),
    ("public API", check_api),
    ("packages", check_packages),
    ("test", || test::run(&test::TestArgs::default())),
];

/// Runs the steps until one fails, and prints the duration of each.
///
/// The rig is installed meanwhile, since it waits for the network more than for a core. The step `test` waits for it, and
/// installs what failed again.
pub fn run() -> Result<()> {
    let _is_not_awaited = thread::spawn(|| {
        if let Err(error) = rig::install_rig() {
            println!("rig: {error}");
        }
    });
    STEPS.into_iter().try_for_each(|(name, step)| run_timed(name, step))
}

fn check_format() -> Result<()> {
    run_cargo(&["fmt", "--all", "--check"])?;
    run_cargo(&["fmt", "--manifest-path", "bench/Cargo.toml", "--check"])?;
    run_cargo(&["fmt", "--manifest-path", "frameworks/Cargo.toml", "--check"])?;
    run_cargo(&["fmt", "--manifest-path", "rig/conformance-server/Cargo.toml", "--check"])
}

/// Checks the dependencies against `deny.toml`. The advisory list needs the network, so it is not checked here.
fn check_dependencies() -> Result<()> {
    if has_cargo_subcommand("deny") {
        return run_cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]);
    }
    println!("NOT RUN: cargo-deny is not installed; `cargo install --locked cargo-deny` brings it");
    Ok(())
}

fn run_lints() -> Result<()> {
    run_cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])?;
    // The benchmark is a workspace of its own, so no other step compiles it. Its tests keep it up to date with the
    // library.
    run_cargo(&["test", "--manifest-path", "bench/Cargo.toml", "--locked", "--lib", "--quiet"])?;
    // So are the samples for agent frameworks.
    run_cargo(&["test", "--manifest-path", "frameworks/Cargo.toml", "--locked", "--quiet"])
}

/// Checks that each backend, each feature of the facade, and `core` build without the others.
fn check_features() -> Result<()> {
    const BACKENDS: [&str; 9] = [
        "memory",
        "env",
        "sts",
        "experimental-scoped-credentials",
        "secrets-manager",
        "kms",
        "process",
        "sdk",
        "ambient",
    ];
    let lint_without_http = ["clippy", "--package", "valetkey-mcp", "--", "-D", "warnings"];
    run_cargo(&lint_without_http)?;
    let check_feature_alone = |package: &str, feature: &str| {
        run_cargo(&["check", "--package", package, "--no-default-features", "--features", feature])
    };
    run_cargo(&["check", "--package", "valetkey-core"])?;
    run_cargo(&["check", "--package", "valetkey", "--no-default-features"])?;
    for backend in BACKENDS {
        check_feature_alone("valetkey-backends", backend)?;
        check_feature_alone("valetkey", backend)?;
    }
    run_cargo(&["check", "--package", "valetkey-store"])?;
    check_feature_alone("valetkey-store", "redis")?;
    run_cargo(&["check", "--package", "valetkey-signing"])?;
    run_cargo(&["check", "--package", "valetkey-local-aws"])?;
    run_cargo(&["check", "--package", "valetkey-cli", "--no-default-features"])?;
    check_feature_alone("valetkey", "tools")?;
    check_feature_alone("valetkey", "http")?;
    check_feature_alone("valetkey", "redis")?;
    check_feature_alone("valetkey", "mcp")
}

/// Compares the public API with its snapshots. The format of rustdoc's JSON changes with the toolchain, so that another
/// release of Rust than the one of the snapshots cannot be compared with them.
fn check_api() -> Result<()> {
    match api::run(&api::ApiArgs::default()) {
        Err(error @ XtaskError::ApiUnreadable { .. }) => {
            println!("NOT RUN: {error}");
            Ok(())
        }
        result => result,
    }
}

/// Checks that cargo can make a package of each published crate: every file is there, and no dependency lacks a version.
fn check_packages() -> Result<()> {
    let private = ["xtask", "valetkey-rig", "valetkey-simulate"].map(|name| format!("--exclude={name}"));
    let arguments = ["package", "--workspace", "--no-verify", "--allow-dirty", "--offline", "--quiet"];
    run_cargo(&[&arguments[..], &private.each_ref().map(String::as_str)].concat())
}

fn build_documentation() -> Result<()> {
    let arguments = ["doc", "--workspace", "--all-features", "--no-deps"];
    run_cargo_with_env(&arguments, &[("RUSTDOCFLAGS", "-D warnings")])
}
