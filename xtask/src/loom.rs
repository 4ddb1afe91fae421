//! `cargo xtask loom`: checks the models in `core` under every interleaving that the memory model allows.

use crate::{Result, step::run_cargo_with_env};

/// Builds `core` with loom's locks and atomics, in a separate target directory, and checks the models.
pub fn run() -> Result<()> {
    let arguments =
        ["test", "--package", "valetkey-core", "--lib", "--target-dir", "target/loom", "--", "model::"];
    run_cargo_with_env(&arguments, &[("RUSTFLAGS", "--cfg valetkey_loom")])
}
