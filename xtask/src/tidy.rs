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

pub use fault::Fault;

use crate::{Failure, Result, root};
use house::House;

/// A rule sees the whole house and tells all that breaks it.
type Rule = fn(&House) -> Vec<Fault>;

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
    let faults = faults(&root())?;
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        some => Err(Failure::Untidy(some)),
    }
}

/// All faults of the workspace at `root`, by file and line.
pub fn faults(root: &Path) -> Result<Vec<Fault>> {
    let house = House::read(root)?;
    let mut faults: Vec<Fault> = RULES.iter().flat_map(|rule| rule(&house)).collect();
    faults.extend(house.unreadable());
    faults.extend(purity::check_tree(root));
    faults.sort();
    faults.dedup();
    Ok(faults)
}
