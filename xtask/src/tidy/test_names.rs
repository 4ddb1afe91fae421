//! Checks the length of the names of tests, `<unit>_<condition>_<result>`.

use syn::{Attribute, ItemFn, visit::Visit};

use super::{Violation, Workspace, source::SourceFile};

const MAX_NAME_LENGTH: usize = 60;

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace.sources.iter().flat_map(check_file).collect()
}

fn check_file(source: &SourceFile) -> Vec<Violation> {
    let mut tests = TestVisitor { source, violations: Vec::new() };
    tests.visit_file(&source.syntax);
    tests.violations
}

struct TestVisitor<'a> {
    source: &'a SourceFile,
    violations: Vec<Violation>,
}

impl<'ast> Visit<'ast> for TestVisitor<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let name = function.sig.ident.to_string();
        if name.len() > MAX_NAME_LENGTH && function.attrs.iter().any(is_test) {
            let line = function.sig.ident.span().start().line;
            let what = format!("`{name}` has {} characters, {MAX_NAME_LENGTH} at most", name.len());
            let remedy = "name it `<unit>_<condition>_<result>`";
            self.violations.push(Violation::new(&self.source.path, line, what, remedy));
        }
        syn::visit::visit_item_fn(self, function);
    }
}

/// Whether the attribute is `#[test]` or that of a runtime, such as `#[tokio::test]`.
fn is_test(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation_count(attribute: &str, name: &str) -> usize {
        let text = format!("mod inner {{\n    {attribute}\n    fn {name}() {{}}\n}}\n");
        check(&Workspace::from_files([("rig/tests/it/x.rs", text)])).len()
    }

    #[test]
    fn check_long_name_of_test_is_violation() {
        let long = "a".repeat(MAX_NAME_LENGTH + 1);
        assert_eq!(violation_count("#[test]", &long), 1);
        assert_eq!(violation_count("#[tokio::test]", &long), 1);
        assert_eq!(violation_count("#[inline]", &long), 0);
        assert_eq!(violation_count("#[test]", &long[1..]), 0);
    }
}
