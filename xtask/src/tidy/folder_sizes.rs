//! Checks the number of production files in module folders, so that one concept stays in few files.

use super::{
    Violation, Workspace,
    source::{FileKind, SourceFile},
};

/// A module, by its path without `.rs`, and its maximum number of production files, with its own file and all child
/// modules.
const MAX_FILES: [(&str, usize); 5] = [
    ("crates/core/src/session", 16),
    ("crates/core/src/cache", 12),
    ("crates/core/src/registry", 9),
    ("crates/mcp/src/host", 7),
    ("crates/backends/src", 36),
];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let large = file_counts(workspace).filter(|(_, count, max)| count > max);
    let violation = |(module, count, max)| {
        let what = format!("{count} production files, {max} at most");
        Violation::new(module, 1, what, "merge files that hold parts of one concept")
    };
    large.map(violation).collect()
}

/// Describes the numbers of files in one line.
pub(crate) fn summary(workspace: &Workspace) -> String {
    let describe = |(module, count, max): (&str, usize, usize)| format!("{module} {count} (maximum {max})");
    let counts: Vec<_> = file_counts(workspace).map(describe).collect();
    format!("production files: {}", counts.join(", "))
}

fn file_counts(workspace: &Workspace) -> impl Iterator<Item = (&'static str, usize, usize)> {
    let count = |(module, max): (&'static str, usize)| {
        let is_inside = |source: &&SourceFile| {
            let stem = source.path.trim_end_matches(".rs");
            stem == module || stem.strip_prefix(module).is_some_and(|rest| rest.starts_with('/'))
        };
        (module, workspace.sources_of_kind(FileKind::Production).filter(is_inside).count(), max)
    };
    MAX_FILES.into_iter().map(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_module_with_too_many_files_is_violation() {
        let (module, max) = MAX_FILES[3];
        let files = |count: usize| (0..count).map(move |index| (format!("{module}/x{index}.rs"), "//! X.\n"));
        assert!(check(&Workspace::from_files(files(max))).is_empty());
        let others =
            [(format!("{module}_other.rs"), "//! X.\n"), (format!("{module}/tests/x.rs"), "//! X.\n")];
        assert!(check(&Workspace::from_files(files(max).chain(others.into_iter().take(1)))).is_empty());
        let own = (format!("{module}.rs"), "//! X.\n");
        assert_eq!(check(&Workspace::from_files(files(max).chain([own]))).len(), 1);
    }
}
