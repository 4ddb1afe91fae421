//! The program of `cargo xtask soak`.

use std::process::ExitCode;

fn main() -> ExitCode {
    valetkey_bench::soak::soak()
}
