//! Checks documents: the required ones exist, invariants name their guards, and no path is specific to one machine.

use super::{Violation, Workspace};

const REQUIRED_DOCUMENTS: [&str; 6] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// The beginnings of paths that are specific to one machine.
const MACHINE_PATH_PREFIXES: [&str; 3] =
    [concat!("/wor", "k/"), concat!("/roo", "t/"), concat!("/hom", "e/")];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut violations = missing_documents(workspace);
    violations.extend(workspace.files.iter().flat_map(|(path, text)| check_machine_paths(path, text)));
    let architecture = workspace.files.iter().find(|(path, _)| path == "ARCHITECTURE.md");
    violations.extend(architecture.iter().flat_map(|(_, text)| check_invariants(workspace, text)));
    violations
}

fn missing_documents(workspace: &Workspace) -> Vec<Violation> {
    let absent = REQUIRED_DOCUMENTS.iter().filter(|document| !workspace.contains_path(document));
    absent.map(|document| Violation::new(document, 1, "is not there", "write it")).collect()
}

fn check_machine_paths(path: &str, text: &str) -> Vec<Violation> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| MACHINE_PATH_PREFIXES.iter().any(|own| contains_absolute_path(line, own)));
    let remedy = "use a relative path, a temporary folder or a made-up one such as /srv";
    lines
        .map(|(index, _)| Violation::new(path, index + 1, "an absolute path of one machine", remedy))
        .collect()
}

/// Whether an absolute path begins at an occurrence of `folder`, rather than a longer path continuing there.
fn contains_absolute_path(line: &str, folder: &str) -> bool {
    let begins = |at: usize| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-})".contains(before))
    };
    line.match_indices(folder).any(|(at, _)| begins(at))
}

fn check_invariants(workspace: &Workspace, text: &str) -> Vec<Violation> {
    let found = parse_invariants(text);
    if found.is_empty() {
        let remedy = "list them as `1. … Guard: `path or test`` under `## Invariants`";
        return vec![Violation::new("ARCHITECTURE.md", 1, "has no numbered invariants", remedy)];
    }
    let numbers = found.iter().zip(1..).filter_map(|((line, invariant), number)| {
        let misnumbered = !invariant.starts_with(&format!("{number}. "));
        let remedy = "number them in order, each once";
        misnumbered.then(|| {
            Violation::new("ARCHITECTURE.md", *line, format!("invariant {number} has another number"), remedy)
        })
    });
    let guards = found.iter().flat_map(|(line, invariant)| check_invariant(workspace, *line, invariant));
    numbers.chain(guards).collect()
}

fn check_invariant(workspace: &Workspace, line: usize, invariant: &str) -> Vec<Violation> {
    let violation = |what: String, remedy| Violation::new("ARCHITECTURE.md", line, what, remedy);
    let Some((_, guards)) = invariant.split_once("Guard:") else {
        return vec![violation(
            "an invariant without `Guard:`".to_owned(),
            "name the test or rule that guards it",
        )];
    };
    let guards: Vec<&str> = guards.split('`').skip(1).step_by(2).collect();
    if guards.is_empty() {
        return vec![violation("a guard that is not named".to_owned(), "name it between backticks")];
    }
    let gone = guards.into_iter().filter(|guard| !guard_exists(workspace, guard));
    gone.map(|guard| violation(format!("the guard `{guard}` does not exist"), "name one that does")).collect()
}

/// Whether a guard exists: a path, a test by its name or module path, or a task.
fn guard_exists(workspace: &Workspace, guard: &str) -> bool {
    let name = guard.rsplit("::").next().unwrap_or(guard);
    let defines = |text: &str| text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"));
    guard.starts_with("cargo xtask ")
        || workspace.contains_path(guard)
        || workspace.sources.iter().any(|source| defines(&source.text))
}

/// Returns the numbered items under the heading, each with the number of its first line. An item ends where the next
/// begins.
fn parse_invariants(text: &str) -> Vec<(usize, String)> {
    let mut items: Vec<(usize, String)> = Vec::new();
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let section = numbered.skip_while(|(_, line)| line.trim() != "## Invariants").skip(1);
    for (number, line) in section.take_while(|(_, line)| !line.starts_with("## ")) {
        if is_numbered(line) {
            items.push((number, line.to_owned()));
        } else if let Some((_, item)) = items.last_mut() {
            *item += "\n";
            *item += line;
        }
    }
    items
}

fn is_numbered(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invariant_violations(architecture: &str) -> Vec<String> {
        let source = ("crates/core/tests/it/x.rs", "//! X.\nfn closed_serves_nothing() {}\n");
        let workspace = Workspace::from_files([("ARCHITECTURE.md", architecture), source]);
        check(&workspace)
            .iter()
            .map(Violation::to_string)
            .filter(|violation| violation.starts_with("ARCH"))
            .collect()
    }

    #[test]
    fn check_invariant_without_existing_guard_is_violation() {
        let head = "# A\n\n## Invariants\n\n";
        assert!(
            invariant_violations(&format!(
                "{head}1. X.\n   Guard: `closed_serves_nothing`, `crates/core/tests`.\n"
            ))
            .is_empty()
        );
        assert!(invariant_violations(&format!("{head}1. X.\n"))[0].contains("without `Guard:`"));
        let twice = invariant_violations(&format!("{head}{0}{0}", "1. X. Guard: `closed_serves_nothing`\n"));
        assert_eq!(twice.len(), 1);
        assert!(twice[0].contains("invariant 2 has another number"), "{twice:?}");
        assert!(
            invariant_violations(&format!("{head}1. X. Guard: `gone_test`\n"))[0]
                .contains("`gone_test` does not exist")
        );
        assert!(invariant_violations("# A\n")[0].contains("no numbered invariants"));
    }

    #[test]
    fn missing_documents_absent_document_is_violation() {
        assert_eq!(
            missing_documents(&Workspace::from_files([("README.md", "")])).len(),
            REQUIRED_DOCUMENTS.len() - 1
        );
    }

    #[test]
    fn check_machine_paths_absolute_path_is_violation() {
        let own = MACHINE_PATH_PREFIXES[2];
        assert_eq!(check_machine_paths("x", &format!("cd {own}me")).len(), 1);
        assert!(check_machine_paths("x", &format!("$base{own}me and ${{HOME}}{own}x")).is_empty());
    }
}
