//! `cargo xtask tidy`: checks the rules of the workspace that a program can check, and lists every violation.

mod direction;
mod fault;
mod globals;
mod house;
mod layout;
mod lexeme;
mod manifest;
mod names;
mod papers;
mod proportions;
mod purity;
mod quiet;
mod source;

use std::path::Path;

pub use fault::Violation;

use crate::{Result, XtaskError, workspace_root};
use house::Workspace;

/// A rule reads the whole workspace and returns all violations.
type Rule = fn(&Workspace) -> Vec<Violation>;

const RULES: [Rule; 9] = [
    layout::check,
    proportions::check,
    names::check,
    direction::check,
    manifest::check,
    purity::check,
    globals::check,
    quiet::check,
    papers::check,
];

/// Prints all violations of this workspace, and fails if there are any.
pub fn run() -> Result<()> {
    let faults = violations(&workspace_root())?;
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        some => Err(XtaskError::Violations(some)),
    }
}

/// Returns all violations of the workspace at `root`, sorted by file and line.
pub fn violations(root: &Path) -> Result<Vec<Violation>> {
    let house = Workspace::read(root)?;
    let mut faults: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&house)).collect();
    faults.extend(house.unparsable());
    faults.extend(purity::check_dependency_tree(root));
    faults.sort();
    faults.dedup();
    Ok(faults)
}
