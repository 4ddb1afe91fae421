//! The program of `cargo xtask bench`.

use std::process::ExitCode;

fn main() -> ExitCode {
    valetkey_bench::program::bench()
}
