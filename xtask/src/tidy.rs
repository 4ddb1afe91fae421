//! `cargo xtask tidy`: the house rules that a program can check. It lists every fault, not the first.

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

/// A rule sees the whole house and tells all that breaks it.
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

/// Prints all faults of this workspace; one is enough to fail.
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

/// All faults of the workspace at `root`, by file and line.
pub fn violations(root: &Path) -> Result<Vec<Violation>> {
    let house = Workspace::read(root)?;
    let mut faults: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&house)).collect();
    faults.extend(house.unparsable());
    faults.extend(purity::check_dependency_tree(root));
    faults.sort();
    faults.dedup();
    Ok(faults)
}
