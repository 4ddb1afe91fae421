//! Checks that library crates neither print nor panic, which only the program that uses them may do.

use super::{
    Violation, Workspace,
    source::{FileKind, SourceFile},
    token::find_phrase,
};

/// A phrase, and its remedy.
const FORBIDDEN_PHRASES: [(&str, &str); 8] = [
    ("print !", PRINT_REMEDY),
    ("println !", PRINT_REMEDY),
    ("eprint !", PRINT_REMEDY),
    ("eprintln !", PRINT_REMEDY),
    ("dbg !", PRINT_REMEDY),
    (". unwrap (", UNWRAP_REMEDY),
    (". expect (", UNWRAP_REMEDY),
    (". unwrap_err (", UNWRAP_REMEDY),
];
const PRINT_REMEDY: &str = "return it, or trace it";
const UNWRAP_REMEDY: &str = "return an error, or make the case impossible by type";

/// The members that may print and panic: the program itself, and members that are never released.
const EXEMPT_MEMBERS: [&str; 5] = ["crates/cli", "xtask", "rig", "bench", "simulate"];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let libraries = workspace
        .sources_of_kind(FileKind::Production)
        .filter(|source| !EXEMPT_MEMBERS.contains(&source.member_dir()));
    libraries.filter(|source| !is_for_testing(source)).flat_map(check_file).collect()
}

fn check_file(source: &SourceFile) -> Vec<Violation> {
    let tokens = source.production_tokens();
    let violation = |(phrase, remedy): &(&str, &'static str)| {
        let (what, remedy) = (format!("`{}` in a library", phrase.replace(' ', "")), *remedy);
        find_phrase(&tokens, phrase)
            .into_iter()
            .map(move |line| Violation::new(&source.path, line, what.clone(), remedy))
    };
    FORBIDDEN_PHRASES.iter().flat_map(|entry| violation(entry).collect::<Vec<_>>()).collect()
}

/// Whether the file belongs to the public test kit, whose contract suites fail by panicking.
fn is_for_testing(source: &SourceFile) -> bool {
    source.path.ends_with("/src/testing.rs") || source.path.contains("/src/testing/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation_count(path: &str, text: &str) -> usize {
        check(&Workspace::from_files([(path, text)])).len()
    }

    #[test]
    fn check_print_or_unwrap_in_library_is_violation() {
        let text = "fn f() {\n    println!(\"x\");\n    g().unwrap();\n    g().expect(\"x\");\n}\n";
        assert_eq!(violation_count("crates/core/src/x.rs", text), 3);
        assert_eq!(violation_count("crates/cli/src/x.rs", text), 0);
        assert_eq!(violation_count("crates/core/tests/it/x.rs", text), 0);
    }

    #[test]
    fn check_tests_comments_and_unwrap_or_pass() {
        let text = "// println!()\nfn f() { g().unwrap_or(1); }\n#[cfg(test)]\nmod tests { fn t() { g().unwrap(); } }\n";
        assert_eq!(violation_count("crates/core/src/x.rs", text), 0);
    }

    #[test]
    fn check_test_module_in_own_file_passes() {
        let workspace = Workspace::from_files([
            ("crates/core/src/x.rs", "#[cfg(test)]\nmod tests;\n"),
            ("crates/core/src/x/tests.rs", "fn t() { g().unwrap(); }\n"),
        ]);
        assert!(check(&workspace).is_empty());
    }
}
