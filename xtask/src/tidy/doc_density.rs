//! Checks the density of documentation: lines of doc comments per 100 lines of code in each published library.

use super::{
    Violation, Workspace,
    source::{FileKind, SourceFile},
};

/// A member, and its minimum of doc lines per 100 lines of code.
const MINIMUM_DENSITY: [(&str, usize); 6] = [
    ("crates/core", 45),
    ("crates/backends", 30),
    ("crates/tools", 30),
    ("crates/mcp", 30),
    ("crates/store", 30),
    ("crates/signing", 30),
];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let sparse = densities(workspace).into_iter().filter(|(_, density, minimum)| density < minimum);
    let violation = |(member, density, minimum)| {
        let what = format!("{density} lines of documentation per 100 lines of code, {minimum} at least");
        let remedy = "add examples and contracts to public items";
        Violation::new(&format!("{member}/src/lib.rs"), 1, what, remedy)
    };
    sparse.map(violation).collect()
}

/// Describes the densities in one line.
pub(crate) fn summary(workspace: &Workspace) -> String {
    let describe =
        |(member, density, minimum): (&str, usize, usize)| format!("{member} {density} (minimum {minimum})");
    let densities: Vec<_> = densities(workspace).into_iter().map(describe).collect();
    format!("lines of documentation per 100 lines of code: {}", densities.join(", "))
}

/// Returns the members that have code, with their density and its minimum.
fn densities(workspace: &Workspace) -> Vec<(&'static str, usize, usize)> {
    let density = |(member, minimum): (&'static str, usize)| {
        let sources = workspace.sources_of_kind(FileKind::Production);
        let counts = sources.filter(|source| source.member_dir() == member).map(count_lines);
        let (docs, code) = counts.fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
        Some((member, (docs * 100).checked_div(code)?, minimum))
    };
    MINIMUM_DENSITY.into_iter().filter_map(density).collect()
}

/// Returns the lines of doc comments and of code, without tests, blank lines and other comments.
fn count_lines(source: &SourceFile) -> (usize, usize) {
    let lines = (1..).zip(source.text.lines()).filter(|(line, _)| !source.is_test_line(*line));
    let (mut docs, mut code) = (0, 0);
    for (_, text) in lines {
        let text = text.trim_start();
        if text.starts_with("///") || text.starts_with("//!") {
            docs += 1;
        } else if !text.is_empty() && !text.starts_with("//") {
            code += 1;
        }
    }
    (docs, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_count_docs_and_code_outside_tests() {
        let text = "//! X.\n\n/// Y.\nfn f() {\n    // Z.\n    g();\n}\n#[cfg(test)]\nmod tests {\n    /// T.\n    fn t() {}\n}\n";
        let workspace = Workspace::from_files([("crates/core/src/x.rs", text)]);
        assert_eq!(densities(&workspace), [("crates/core", 66, 45)]);
    }
}
