//! Makes the calls of the measure `gateway`, bound to one core.

use std::process::ExitCode;

fn main() -> ExitCode {
    valetkey_bench::program::gateway_load()
}
