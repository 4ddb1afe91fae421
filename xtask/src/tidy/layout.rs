//! Checks the layout: folders with a purpose, and meaningful names. The first line of a file states its purpose.

use syn::{ItemMod, visit::Visit};

use super::{
    Violation, Workspace,
    source::{SourceFile, line_range},
    token::find_phrase,
};

const MEANINGLESS_NAMES: [&str; 5] = ["utils", "common", "helpers", "types", "manager"];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace.sources.iter().flat_map(check_file).collect()
}

fn check_file(source: &SourceFile) -> Vec<Violation> {
    let checks =
        [check_first_line(source), check_file_name(source), check_test_binary(source), check_real(source)];
    checks.into_iter().flatten().chain(check_modules(source)).collect()
}

fn check_first_line(source: &SourceFile) -> Option<Violation> {
    let has_doc_line = source.text.starts_with("//! ");
    let remedy = "state the purpose of the file in a first line `//! …`";
    (!has_doc_line).then(|| Violation::new(&source.path, 1, "does not begin with `//! `", remedy))
}

fn check_file_name(source: &SourceFile) -> Option<Violation> {
    let name = source.path.rsplit('/').next()?.trim_end_matches(".rs");
    if name == "mod" {
        let remedy = "rename it to the module's name, beside its folder";
        return Some(Violation::new(&source.path, 1, "`mod.rs`", remedy));
    }
    MEANINGLESS_NAMES.contains(&name).then(|| meaningless_name(source, 1, name))
}

/// Rejects a second test binary of a crate, which would be linked and started separately.
fn check_test_binary(source: &SourceFile) -> Option<Violation> {
    let (_, inside) = source.path.split_once("/tests/")?;
    let remedy = "move it to a module of tests/it/";
    (!inside.contains('/')).then(|| Violation::new(&source.path, 1, "a second test binary", remedy))
}

/// Checks tests that use the rig: `cargo xtask test --no-rig` selects tests by the module's name.
fn check_real(source: &SourceFile) -> Option<Violation> {
    let (_, inside) = source.path.split_once("/tests/it/")?;
    let tokens = source.production_tokens();
    // A key needs no installed program.
    let keys = find_phrase(&tokens, "valetkey_rig :: SigningKey");
    let line = find_phrase(&tokens, "valetkey_rig").into_iter().find(|line| !keys.contains(line))?;
    let remedy = "move it to tests/it/real/, so that `--no-rig` leaves it out";
    let is_in_real = inside == "real.rs" || inside.starts_with("real/");
    (!is_in_real).then(|| Violation::new(&source.path, line, "a test that needs the rig", remedy))
}

fn check_modules(source: &SourceFile) -> Vec<Violation> {
    let mut modules = ModuleVisitor { source, violations: Vec::new() };
    modules.visit_file(&source.syntax);
    modules.violations
}

struct ModuleVisitor<'a> {
    source: &'a SourceFile,
    violations: Vec<Violation>,
}

impl<'ast> Visit<'ast> for ModuleVisitor<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let name = module.ident.to_string();
        // A module in another file is reported there.
        if module.content.is_some() && MEANINGLESS_NAMES.contains(&name.as_str()) {
            self.violations.push(meaningless_name(self.source, *line_range(module).start(), &name));
        }
        syn::visit::visit_item_mod(self, module);
    }
}

fn meaningless_name(source: &SourceFile, line: usize, name: &str) -> Violation {
    let what = format!("a module named `{name}` says nothing on what it holds");
    Violation::new(&source.path, line, what, "name it after the thing inside")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation_count(path: &str, text: &str) -> usize {
        check(&Workspace::from_files([(path, text)])).len()
    }

    #[test]
    fn check_file_without_doc_line_is_violation() {
        assert_eq!(violation_count("crates/core/src/clock.rs", "// Reads time.\n"), 1);
        assert_eq!(violation_count("crates/core/src/clock.rs", "//! Reads time.\n"), 0);
    }

    #[test]
    fn check_meaningless_name_is_violation() {
        for path in ["crates/core/src/utils.rs", "crates/core/src/session/mod.rs", "rig/src/types.rs"] {
            assert_eq!(violation_count(path, "//! A module.\n"), 1, "{path}");
        }
        assert_eq!(violation_count("crates/core/src/clock.rs", "//! Reads time.\nmod helpers {}\n"), 1);
    }

    #[test]
    fn check_rig_test_outside_real_is_violation() {
        let text = "//! Tests.\nuse valetkey_rig::Moto;\n";
        assert_eq!(violation_count("crates/core/tests/it/sts.rs", text), 1);
        assert_eq!(violation_count("crates/core/tests/it/real/sts.rs", text), 0);
        let key = "//! Tests.\nuse valetkey_rig::SigningKey;\n";
        assert_eq!(violation_count("crates/core/tests/it/sts.rs", key), 0);
    }

    #[test]
    fn check_second_test_binary_is_violation() {
        assert_eq!(violation_count("crates/core/tests/second.rs", "//! Tests.\n"), 1);
        assert_eq!(violation_count("crates/core/tests/it/main.rs", "//! Tests.\n"), 0);
    }
}
