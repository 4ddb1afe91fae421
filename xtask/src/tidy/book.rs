//! Checks the book: every page is in its summary, code blocks are valid, and every code of an error has a heading.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

use super::{Violation, Workspace, links};

const SUMMARY: &str = "docs/SUMMARY.md";
const TROUBLESHOOTING: &str = "TROUBLESHOOTING.md";
/// The file that defines the codes of errors.
const ERROR_CODES: &str = "crates/core/src/error.rs";

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let documents = workspace.files.iter().filter(|(path, _)| path.ends_with(".md"));
    let blocks = documents.flat_map(|(path, text)| check_code_blocks(path, text));
    blocks.chain(missing_pages(workspace)).chain(missing_error_codes(workspace)).collect()
}

/// Returns the pages under `docs` that the summary does not contain.
fn missing_pages(workspace: &Workspace) -> Vec<Violation> {
    let Some(summary) = find_text(workspace, SUMMARY) else { return Vec::new() };
    let listed = links::targets(SUMMARY, summary);
    let pages = workspace.files.iter().map(|(path, _)| path.as_str());
    let pages = pages.filter(|path| path.starts_with("docs/") && path.ends_with(".md") && *path != SUMMARY);
    let missing = pages.filter(|page| !listed.iter().any(|listed| listed == page));
    missing
        .map(|page| Violation::new(page, 1, "is no page of the book", "add it to docs/SUMMARY.md"))
        .collect()
}

/// Returns the codes of errors without a heading.
fn missing_error_codes(workspace: &Workspace) -> Vec<Violation> {
    let codes = workspace.sources.iter().find(|source| source.path == ERROR_CODES);
    let text = find_text(workspace, TROUBLESHOOTING).unwrap_or_default();
    let has_heading = |code: &str| text.lines().any(|line| line == format!("### `{code}`"));
    let codes = codes.iter().flat_map(|source| source.text.lines()).filter_map(error_code);
    let missing = codes.filter(|code| !has_heading(code));
    let violation = |code: &str| {
        let what = format!("the error code `{code}` has no heading");
        Violation::new(TROUBLESHOOTING, 1, what, "state its cause and remedy under `### `code``")
    };
    missing.map(violation).collect()
}

/// Returns the code in a line such as `Self::Denied => "denied",`.
fn error_code(line: &str) -> Option<&str> {
    let (_, code) = line.trim().strip_prefix("Self::")?.split_once(" => \"")?;
    code.strip_suffix("\",")
}

/// Checks that each block of code states its language, and that JSON and TOML are valid.
fn check_code_blocks(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut events = Parser::new(text).into_offset_iter();
    while let Some((event, range)) = events.next() {
        let Event::Start(Tag::CodeBlock(kind)) = event else { continue };
        let mut code = String::new();
        for (event, _) in events.by_ref() {
            match event {
                Event::Text(part) => code.push_str(&part),
                _ => break,
            }
        }
        let line = text[..range.start].matches('\n').count() + 1;
        violations
            .extend(check_code(&kind, &code).map(|(what, remedy)| Violation::new(path, line, what, remedy)));
    }
    violations
}

fn check_code(kind: &CodeBlockKind<'_>, code: &str) -> Option<(String, &'static str)> {
    let error = match kind {
        CodeBlockKind::Indented => return Some(("an indented block of code".to_owned(), "use a fence")),
        CodeBlockKind::Fenced(language) => match language.split(',').next().unwrap_or_default() {
            "" => return Some(("a block of code without a language".to_owned(), "name it; `text` for none")),
            "json" => serde_json::from_str::<serde_json::Value>(code).err().map(|error| error.to_string()),
            "toml" => code.parse::<toml::Table>().err().map(|error| error.message().to_owned()),
            _ => None,
        },
    };
    error.map(|error| (format!("a block of code is not valid: {error}"), "correct it"))
}

fn find_text<'a>(workspace: &'a Workspace, path: &str) -> Option<&'a str> {
    workspace.files.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let workspace = Workspace::from_files(files.iter().copied());
        check(&workspace).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn check_page_without_summary_entry_is_violation() {
        let listed = (SUMMARY, "- [A](a.md)\n- [R](../README.md)\n");
        assert!(messages(&[listed, ("docs/a.md", "# A\n")]).is_empty());
        let missing = messages(&[listed, ("docs/a.md", "# A\n"), ("docs/b/c.md", "# C\n")]);
        assert_eq!(missing, ["docs/b/c.md:1: is no page of the book; add it to docs/SUMMARY.md"]);
    }

    #[test]
    fn check_error_code_without_heading_is_violation() {
        let source = (ERROR_CODES, "//! X.\nfn f() { match x {\n    Self::Denied => \"denied\",\n} }\n");
        assert!(messages(&[source, (TROUBLESHOOTING, "### `denied`\n")]).is_empty());
        let missing = messages(&[source, (TROUBLESHOOTING, "## `denied`, and more\n")]);
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert!(missing[0].starts_with("TROUBLESHOOTING.md:1: the error code `denied`"), "{missing:?}");
    }

    #[test]
    fn check_invalid_code_block_is_violation() {
        let good =
            "```json\n{\"a\": 1}\n```\n\n```toml\na = 1\n```\n\n```rust,no_run\n{\n```\n\n```text\nx\n```\n";
        assert_eq!(messages(&[("a.md", good)]), Vec::<String>::new());
        let bad = "# A\n\n```json\n{a}\n```\n\n```toml\na =\n```\n\n```\nx\n```\n\n    indented\n";
        let found = messages(&[("a.md", bad)]);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].starts_with("a.md:3: a block of code is not valid: "), "{found:?}");
    }
}
