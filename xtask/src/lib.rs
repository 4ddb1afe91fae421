//! The tasks of `cargo xtask`, as a library, so that `tidy` is also a test.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task prints to the terminal of the developer"
)]

pub mod api;
pub mod bench;
pub mod book;
pub mod ci;
pub mod conformance;
pub mod endpoints;
mod error;
pub mod loom;
pub mod rig;
pub mod simulate;
pub mod soak;
mod step;
pub mod test;
pub mod tidy;

use std::path::{Path, PathBuf};

pub use error::{Result, XtaskError};

/// Returns the root folder of the workspace.
pub fn workspace_root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

/// Prints the error to standard error.
pub fn print_error(error: &XtaskError) {
    eprintln!("error: {error}");
}
