//! The tasks of `cargo xtask`, as a library, so that `tidy` is also a test.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who started it")]

pub mod bench;
pub mod ci;
mod failure;
pub mod loom;
pub mod rig;
mod step;
pub mod test;
pub mod tidy;

use std::path::{Path, PathBuf};

pub use failure::{Result, XtaskError};

/// Returns the root folder of the workspace.
pub fn workspace_root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

/// Prints the error to standard error.
pub fn print_error(failure: &XtaskError) {
    eprintln!("error: {failure}");
}
