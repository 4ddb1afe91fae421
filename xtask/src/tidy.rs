//! `cargo xtask tidy`: checks the rules of the workspace that a program can check, and lists every violation.

mod book;
mod core_io_free;
mod dependency_direction;
mod doc_density;
mod docs;
mod folder_sizes;
mod globals;
mod layout;
mod lexicon;
mod links;
mod manifest;
mod names;
mod no_print;
mod size_limits;
mod source;
mod test_names;
mod token;
mod violation;
mod workspace;

use std::path::Path;

pub(crate) use links::rebase_links;
pub use violation::Violation;

use crate::{Result, XtaskError, workspace_root};
use workspace::Workspace;

/// A rule reads the whole workspace and returns all violations.
type Rule = fn(&Workspace) -> Vec<Violation>;

const RULES: [Rule; 15] = [
    layout::check,
    size_limits::check,
    names::check,
    dependency_direction::check,
    manifest::check,
    core_io_free::check,
    globals::check,
    no_print::check,
    docs::check,
    lexicon::check,
    doc_density::check,
    test_names::check,
    folder_sizes::check,
    links::check,
    book::check,
];

/// Prints all violations of this workspace and its measures, and fails if there are violations.
pub fn run() -> Result<()> {
    let root = workspace_root();
    let violations = violations(&root)?;
    for violation in &violations {
        println!("{violation}");
    }
    let workspace = Workspace::read(&root)?;
    println!("{}\n{}", doc_density::summary(&workspace), folder_sizes::summary(&workspace));
    match violations.len() {
        0 => Ok(()),
        some => Err(XtaskError::Violations(some)),
    }
}

/// Returns all violations of the workspace at `root`, sorted by file and line.
pub fn violations(root: &Path) -> Result<Vec<Violation>> {
    let workspace = Workspace::read(root)?;
    let mut violations: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&workspace)).collect();
    violations.extend(workspace.unparsable());
    violations.extend(core_io_free::check_dependency_tree(root));
    violations.sort();
    violations.dedup();
    Ok(violations)
}
