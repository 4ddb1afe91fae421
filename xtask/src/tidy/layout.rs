//! Where things are and what they are called: rooms with a purpose, told in their first line.

use syn::{ItemMod, visit::Visit};

use super::{
    Fault, House,
    lexeme::find,
    source::{Source, lines},
};

const EMPTY_NAMES: [&str; 5] = ["utils", "common", "helpers", "types", "manager"];

pub(crate) fn check(house: &House) -> Vec<Fault> {
    house.sources.iter().flat_map(check_file).collect()
}

fn check_file(source: &Source) -> Vec<Fault> {
    let checks =
        [check_first_line(source), check_file_name(source), check_test_binary(source), check_real(source)];
    checks.into_iter().flatten().chain(check_modules(source)).collect()
}

fn check_first_line(source: &Source) -> Option<Fault> {
    let told = source.text.starts_with("//! ");
    let remedy = "say in a first line `//! …` what this file is for";
    (!told).then(|| Fault::new(&source.path, 1, "does not begin with `//! `", remedy))
}

fn check_file_name(source: &Source) -> Option<Fault> {
    let name = source.path.rsplit('/').next()?.trim_end_matches(".rs");
    if name == "mod" {
        let remedy = "rename it to the module's name, beside its folder";
        return Some(Fault::new(&source.path, 1, "`mod.rs`", remedy));
    }
    EMPTY_NAMES.contains(&name).then(|| empty_name(source, 1, name))
}

/// Every further binary is linked, and started, on its own.
fn check_test_binary(source: &Source) -> Option<Fault> {
    let (_, inside) = source.path.split_once("/tests/")?;
    let remedy = "move it to a module of tests/it/";
    (!inside.contains('/')).then(|| Fault::new(&source.path, 1, "a second test binary", remedy))
}

/// `cargo xtask test --no-rig` goes by the module's name.
fn check_real(source: &Source) -> Option<Fault> {
    let (_, inside) = source.path.split_once("/tests/it/")?;
    let line = *find(&source.production(), "valetkey_rig").first()?;
    let remedy = "move it to tests/it/real/, so that `--no-rig` leaves it out";
    let apart = inside == "real.rs" || inside.starts_with("real/");
    (!apart).then(|| Fault::new(&source.path, line, "a test that needs the rig", remedy))
}

fn check_modules(source: &Source) -> Vec<Fault> {
    let mut modules = Modules { source, faults: Vec::new() };
    modules.visit_file(&source.syntax);
    modules.faults
}

struct Modules<'a> {
    source: &'a Source,
    faults: Vec<Fault>,
}

impl<'ast> Visit<'ast> for Modules<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let name = module.ident.to_string();
        // A module in another file is told there.
        if module.content.is_some() && EMPTY_NAMES.contains(&name.as_str()) {
            self.faults.push(empty_name(self.source, *lines(module).start(), &name));
        }
        syn::visit::visit_item_mod(self, module);
    }
}

fn empty_name(source: &Source, line: usize, name: &str) -> Fault {
    let what = format!("a module named `{name}` says nothing on what it holds");
    Fault::new(&source.path, line, what, "name it after the thing inside")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        check(&House::of([(path, text)])).len()
    }

    #[test]
    fn a_file_without_a_purpose_is_a_fault() {
        assert_eq!(faults("crates/core/src/clock.rs", "// tells time\n"), 1);
        assert_eq!(faults("crates/core/src/clock.rs", "//! Tells time.\n"), 0);
    }

    #[test]
    fn names_that_say_nothing_are_faults() {
        for path in ["crates/core/src/utils.rs", "crates/core/src/session/mod.rs", "rig/src/types.rs"] {
            assert_eq!(faults(path, "//! A room.\n"), 1, "{path}");
        }
        assert_eq!(faults("crates/core/src/clock.rs", "//! Tells time.\nmod helpers {}\n"), 1);
    }

    #[test]
    fn tests_that_need_the_rig_are_kept_apart() {
        let text = "//! Tests.\nuse valetkey_rig::Moto;\n";
        assert_eq!(faults("crates/core/tests/it/sts.rs", text), 1);
        assert_eq!(faults("crates/core/tests/it/real/sts.rs", text), 0);
    }

    #[test]
    fn one_test_binary_per_crate() {
        assert_eq!(faults("crates/core/tests/second.rs", "//! Tests.\n"), 1);
        assert_eq!(faults("crates/core/tests/it/main.rs", "//! Tests.\n"), 0);
    }
}
