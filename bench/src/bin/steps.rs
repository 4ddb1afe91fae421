//! So many warm fetches of one subject, for callgrind to count.

use std::process::ExitCode;

fn main() -> ExitCode {
    valetkey_bench::program::steps()
}
