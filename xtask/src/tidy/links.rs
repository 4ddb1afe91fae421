//! Checks the relative links of documents: they lead to a file, and a README that is published alone has none.

use pulldown_cmark::{Event, Parser, Tag};

use super::{Violation, Workspace};

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let documents = workspace.files.iter().filter(|(path, _)| path.ends_with(".md"));
    documents.flat_map(|(path, text)| check_document(workspace, path, text)).collect()
}

fn check_document(workspace: &Workspace, path: &str, text: &str) -> Vec<Violation> {
    let violation = |(line, target): (usize, String)| {
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        if !file.is_empty() && is_published_alone(path) {
            let remedy = "link to an item of the crate, or remove the link";
            return Some(Violation::new(path, line, format!("`{file}` is not in the package"), remedy));
        }
        let file = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
        let remedy = "correct the link";
        if !workspace.contains_path(&file) {
            return Some(Violation::new(
                path,
                line,
                format!("a link to `{target}`, which does not exist"),
                remedy,
            ));
        }
        let document = workspace.files.iter().find(|(name, _)| *name == file && name.ends_with(".md"));
        let is_dead = !anchor.is_empty() && document.is_some_and(|(_, text)| !has_heading(text, anchor));
        is_dead.then(|| Violation::new(path, line, format!("no heading for `#{anchor}` in {file}"), remedy))
    };
    relative_links(text).into_iter().filter_map(violation).collect()
}

/// Whether the document is the README of a package: crates.io and docs.rs show it without the rest of the repository.
fn is_published_alone(path: &str) -> bool {
    path.starts_with("crates/") && path.ends_with("/README.md")
}

/// Returns the relative links of the document, each with the number of its line.
fn relative_links(text: &str) -> Vec<(usize, String)> {
    let links = Parser::new(text).into_offset_iter().filter_map(|(event, range)| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some((dest_url, range)),
        _ => None,
    });
    let relative = links.filter(|(target, _)| !target.contains("://") && !target.starts_with("mailto:"));
    relative
        .map(|(target, range)| (text[..range.start].matches('\n').count() + 1, target.into_string()))
        .collect()
}

/// Returns the paths, relative to the root of the workspace, that the document `path` links to.
pub(crate) fn targets(path: &str, text: &str) -> Vec<String> {
    relative_links(text).into_iter().map(|(_, target)| resolve(path, &target)).collect()
}

/// Returns the text of the document `path` with its relative links as from the root of the workspace.
pub(crate) fn rebase_links(path: &str, text: &str) -> String {
    relative_links(text).into_iter().fold(text.to_owned(), |text, (_, target)| {
        text.replace(&format!("]({target})"), &format!("]({})", resolve(path, &target)))
    })
}

/// Returns the path that `link` in the document `path` leads to, relative to the root of the workspace.
fn resolve(path: &str, link: &str) -> String {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(folders.pop()),
            part => folders.push(part),
        }
    }
    folders.join("/")
}

/// Whether a heading of the document has this anchor, by the rules of GitHub.
fn has_heading(text: &str, anchor: &str) -> bool {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|heading| slug(heading.trim_start_matches('#').trim())).any(|slug| slug == anchor)
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|&letter| letter.is_alphanumeric() || " -_".contains(letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        let files = [("docs/a.md", "# One tool call\n"), ("src/x.rs", "//! X.\n"), (path, text)];
        check(&Workspace::from_files(files)).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn rebase_links_in_folder_start_from_root() {
        let text = "[a](a.md) [b](../B.md) [c](x/c.md) [d](https://d.example)";
        let rebased = "[a](docs/a.md) [b](B.md) [c](docs/x/c.md) [d](https://d.example)";
        assert_eq!(rebase_links("docs/SUMMARY.md", text), rebased);
    }

    #[test]
    fn check_link_to_missing_file_or_heading_is_violation() {
        let good = "[a](docs/a.md#one-tool-call) [b](src) [c](https://a.example/b) [d](#top)\n\n# Top\n";
        assert_eq!(violations("README.md", good), Vec::<String>::new());
        assert_eq!(violations("docs/b.md", "[a](a.md) [b](../src/x.rs)\n"), Vec::<String>::new());
        let dead = violations("README.md", "\n[a](docs/gone.md)\n[b](docs/a.md#two)\n[c](#gone)\n");
        assert_eq!(dead.len(), 3, "{dead:?}");
        assert!(dead[0].starts_with("README.md:2: a link to `docs/gone.md`"), "{dead:?}");
    }

    #[test]
    fn check_link_in_code_is_not_a_link() {
        assert_eq!(
            violations("README.md", "`[a](gone.md)`\n\n```\n[a](gone.md)\n```\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn check_relative_link_in_package_readme_is_violation() {
        let found = violations("crates/x/README.md", "[a](../../docs/a.md)\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("is not in the package"), "{found:?}");
    }
}
