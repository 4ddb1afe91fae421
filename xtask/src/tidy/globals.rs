//! Rejects global state. State that is only passed as an argument cannot be reached elsewhere, so isolation needs no
//! check that could be forgotten.

use super::{
    Violation, Workspace,
    source::{FileKind, SourceFile},
    token::find_phrase,
};

/// The beginnings of items that outlive every session. A lifetime does not match: its quote precedes the word.
const GLOBAL_PHRASES: [&str; 3] = ["static", "thread_local !", "task_local !"];
/// Constants that cannot be `const`, because they hold JSON. They hold no state and nothing of a session, and a copy for
/// each session would be larger than the session.
const CONSTANT_PHRASE: &str = ": LazyLock < ToolDefinition > =";
/// The allocator of the program, which holds no state of its own.
const ALLOCATOR_PHRASE: &str = "static ALLOCATOR : MiMalloc";
const REMEDY: &str = "pass it as an argument; a session or the composition root owns it";

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let shipped = workspace
        .sources_of_kind(FileKind::Production)
        .filter(|source| !["xtask", "rig", "bench"].contains(&source.member_dir()));
    shipped.flat_map(check_file).collect()
}

fn check_file(source: &SourceFile) -> Vec<Violation> {
    let tokens = source.production_tokens();
    // `'static` is two tokens, a quote and `static`.
    let mut permitted: Vec<usize> = find_phrase(&tokens, "' static");
    permitted.extend(find_phrase(&tokens, CONSTANT_PHRASE));
    permitted.extend(find_phrase(&tokens, ALLOCATOR_PHRASE));
    let mut found: Vec<usize> =
        GLOBAL_PHRASES.iter().flat_map(|phrase| find_phrase(&tokens, phrase)).collect();
    for permitted in permitted {
        if let Some(index) = found.iter().position(|line| *line == permitted) {
            found.remove(index);
        }
    }
    found.sort_unstable();
    let violation = |line| Violation::new(&source.path, line, "a global".to_owned(), REMEDY);
    found.into_iter().map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation_count(path: &str, text: &str) -> usize {
        check(&Workspace::from_files([(path, text)])).len()
    }

    #[test]
    fn check_global_is_violation() {
        for text in [
            "static CREDENTIALS: u8 = 0;",
            "fn f() { static LOCAL: u8 = 0; }",
            "thread_local! { static X: u8 = 0; }",
            "pub static CLIENTS: OnceLock<u8> = OnceLock::new();",
            "static SESSIONS: LazyLock<Sessions> = LazyLock::new(Sessions::default);",
        ] {
            assert!(violation_count("crates/core/src/x.rs", text) > 0, "{text}");
            assert_eq!(violation_count("xtask/src/x.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn check_lifetimes_constants_and_tests_pass() {
        let text = "const N: &'static str = \"static\";\nstruct S { once: OnceLock<u8> }\nfn f<T: 'static>(x: &'static T) {}\n#[cfg(test)]\nmod tests { static X: u8 = 0; }\n";
        assert_eq!(violation_count("crates/core/src/x.rs", text), 0);
        let definition = "static DEFINITION: LazyLock<ToolDefinition> = LazyLock::new(definition);";
        assert_eq!(violation_count("crates/tools/src/x.rs", definition), 0);
    }
}
