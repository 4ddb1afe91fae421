//! Makes warm fetches of one subject, for callgrind.

use std::process::ExitCode;

fn main() -> ExitCode {
    valetkey_bench::program::steps()
}
