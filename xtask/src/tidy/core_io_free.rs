//! Checks that `core` performs no I/O, spawns nothing, reads no clock but its own, and depends on no AWS client.

use std::{path::Path, process::Command};

use syn::{ItemUse, UseTree, visit::Visit};

use super::{
    Violation, Workspace,
    source::{FileKind, SourceFile, line_range},
    token::find_phrase,
};

/// The paths, or beginnings of paths, that `core` may not use.
const FORBIDDEN_PATHS: [&str; 9] = [
    "std :: env",
    "std :: fs",
    "std :: process",
    "std :: net",
    "tokio :: spawn",
    "tokio :: fs",
    "tokio :: net",
    "tokio :: process",
    "SystemTime :: now",
];
const CLOCK_FILE: &str = "crates/core/src/clock.rs";
const REMEDY: &str = "take it as an argument or behind a trait; the crates outside of core do I/O";

/// The beginnings of the names of packages that `core` may not depend on.
const FORBIDDEN_PACKAGES: [&str; 6] =
    ["aws-config", "aws-sdk-", "aws-smithy-http-client", "hyper", "rustls", "rmcp"];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace
        .sources_of_kind(FileKind::Production)
        .filter(|source| source.member_dir() == "crates/core")
        .flat_map(check_file)
        .collect()
}

/// Checks the dependencies of `core` with `cargo tree`.
pub(crate) fn check_dependency_tree(root: &Path) -> Vec<Violation> {
    let arguments =
        ["tree", "-p", "valetkey-core", "-e", "normal", "--prefix", "none", "--offline", "--locked"];
    let violation = |what: String, remedy: &str| Violation::new("crates/core/Cargo.toml", 1, what, remedy);
    match Command::new("cargo").args(arguments).current_dir(root).output() {
        Ok(output) if output.status.success() => forbidden_packages(&String::from_utf8_lossy(&output.stdout))
            .into_iter()
            .map(|client| {
                violation(format!("`{client}` is in core's tree"), "move what needs it to crates/backends")
            })
            .collect(),
        Ok(output) => {
            let reason =
                String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
            vec![violation(
                format!("cargo tree failed: {reason}"),
                "run `cargo fetch`, and commit Cargo.lock",
            )]
        }
        Err(error) => vec![violation(format!("cargo tree did not start: {error}"), "put cargo on the path")],
    }
}

fn forbidden_packages(tree: &str) -> Vec<&str> {
    let packages = tree.lines().filter_map(|line| line.split_whitespace().next());
    packages.filter(|package| FORBIDDEN_PACKAGES.iter().any(|client| package.starts_with(client))).collect()
}

fn check_file(source: &SourceFile) -> Vec<Violation> {
    let tokens = source.production_tokens();
    let mut found: Vec<(usize, String)> = Vec::new();
    for phrase in FORBIDDEN_PATHS {
        found.extend(find_phrase(&tokens, phrase).into_iter().map(|line| (line, phrase.replace(' ', ""))));
    }
    found.extend(forbidden_imports(source));
    found.sort();
    found.dedup();
    let owns_clock = |what: &str| source.path == CLOCK_FILE && what == "SystemTime::now";
    let found = found.into_iter().filter(|(line, what)| !source.is_test_line(*line) && !owns_clock(what));
    found
        .map(|(line, what)| Violation::new(&source.path, line, format!("core names `{what}`"), REMEDY))
        .collect()
}

/// Returns forbidden imports in nested form, such as `use std::{env, fs}`.
fn forbidden_imports(source: &SourceFile) -> Vec<(usize, String)> {
    let mut imports = ImportVisitor::default();
    imports.visit_file(&source.syntax);
    let outside: Vec<String> = FORBIDDEN_PATHS.iter().map(|phrase| phrase.replace(' ', "")).collect();
    let is_in = |path: &str, outside: &str| path == outside || path.starts_with(&format!("{outside}::"));
    let named = |path: &String| outside.iter().find(|outside| is_in(path, outside)).cloned();
    imports.found.iter().filter_map(|(line, path)| Some((*line, named(path)?))).collect()
}

#[derive(Default)]
struct ImportVisitor {
    found: Vec<(usize, String)>,
}

impl<'ast> Visit<'ast> for ImportVisitor {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.collect(&item.tree, "", *line_range(item).start());
    }
}

impl ImportVisitor {
    fn collect(&mut self, tree: &UseTree, prefix: &str, line: usize) {
        match tree {
            UseTree::Path(path) => self.collect(&path.tree, &format!("{prefix}{}::", path.ident), line),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.collect(tree, prefix, line)),
            UseTree::Name(name) => self.found.push((line, format!("{prefix}{}", name.ident))),
            UseTree::Rename(name) => self.found.push((line, format!("{prefix}{}", name.ident))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation_count(path: &str, text: &str) -> usize {
        check(&Workspace::from_files([(path, text)])).len()
    }

    #[test]
    fn check_core_io_in_any_spelling_is_violation() {
        for text in [
            "fn f() { std::env::var(\"X\"); }",
            "use std::{collections::HashMap, fs::File};",
            "use std::process as p;",
            "fn f() { g!(tokio::spawn(h())); }",
            "use std::time::SystemTime;\nfn f() { SystemTime::now(); }",
        ] {
            assert_eq!(violation_count("crates/core/src/x.rs", text), 1, "{text}");
            assert_eq!(violation_count("crates/backends/src/x.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn check_clock_tests_and_comments_pass() {
        assert_eq!(violation_count(CLOCK_FILE, "fn now() { SystemTime::now(); }"), 0);
        let text =
            "//! Never std::env.\nuse std::time::SystemTime;\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(violation_count("crates/core/src/x.rs", text), 0);
    }

    #[test]
    fn forbidden_packages_finds_clients_in_tree() {
        let tree =
            "valetkey-core v0.1.0\naws-credential-types v1.3.1\naws-sdk-sts v1.0.0\nhyper v1.0.0 (*)\n";
        assert_eq!(forbidden_packages(tree), ["aws-sdk-sts", "hyper"]);
    }
}
