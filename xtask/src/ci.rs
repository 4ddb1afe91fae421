//! `cargo xtask ci`: everything that must hold before a change lands.

use crate::{
    Result,
    step::{cargo, cargo_with, has_cargo, timed},
    test, tidy,
};

/// A step's name, and what it does.
type Step = (&'static str, fn() -> Result<()>);

/// The quick ones first, the tests last.
const STEPS: [Step; 9] = [
    ("fetch", || cargo(&["fetch", "--locked", "--target", "host-tuple"])),
    ("format", format),
    ("tidy", tidy::run),
    ("dependencies", dependencies),
    ("lint", lint),
    ("features", features),
    ("documentation", document),
    ("demo", || cargo(&["run", "--release", "--package", "valetkey-cli", "--", "demo", "--json"])),
    ("test", || test::run(&test::Options::default())),
];

/// Runs all steps up to the first that fails, and says what each took.
pub fn run() -> Result<()> {
    STEPS.into_iter().try_for_each(|(name, step)| timed(name, step))
}

fn format() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["fmt", "--manifest-path", "bench/Cargo.toml", "--check"])
}

/// What may be depended on, by `deny.toml`. The advisory list is fetched from the network, and so is left to people.
fn dependencies() -> Result<()> {
    if has_cargo("deny") {
        return cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]);
    }
    println!("NOT RUN: cargo-deny is not installed; `cargo install --locked cargo-deny` brings it");
    Ok(())
}

fn lint() -> Result<()> {
    cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])?;
    // A workspace of its own, whose peers no other build compiles: tested, so that it keeps up with what it measures.
    cargo(&["test", "--manifest-path", "bench/Cargo.toml", "--lib", "--quiet"])
}

/// Each backend, each feature of the facade, and `core`, must build without the others.
fn features() -> Result<()> {
    const BACKENDS: [&str; 8] = [
        "memory",
        "env",
        "sts",
        "experimental-scoped-credentials",
        "secrets-manager",
        "process",
        "sdk",
        "ambient",
    ];
    let alone = |package: &str, feature: &str| {
        cargo(&["check", "--package", package, "--no-default-features", "--features", feature])
    };
    cargo(&["check", "--package", "valetkey-core"])?;
    cargo(&["check", "--package", "valetkey", "--no-default-features"])?;
    for backend in BACKENDS {
        alone("valetkey-backends", backend)?;
        alone("valetkey", backend)?;
    }
    cargo(&["check", "--package", "valetkey-local-aws"])?;
    cargo(&["check", "--package", "valetkey-cli", "--no-default-features"])?;
    alone("valetkey", "tools")?;
    alone("valetkey", "mcp")
}

fn document() -> Result<()> {
    let arguments = ["doc", "--workspace", "--all-features", "--no-deps"];
    cargo_with(&arguments, &[("RUSTDOCFLAGS", "-D warnings")])
}
