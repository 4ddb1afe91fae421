//! Checks the length of files and functions, and the number of arguments of functions.

use syn::{FnArg, ImplItemFn, ItemFn, Signature, TraitItemFn, spanned::Spanned, visit::Visit};

use super::{
    Violation, Workspace,
    source::{FileKind, SourceFile},
};

const MAX_FILE_LINES: usize = 350;
const MAX_FUNCTION_LINES: usize = 60;
const MAX_ARGUMENTS: usize = 5;
/// A percentile, and its maximum number of lines.
const FILE_PERCENTILES: [(usize, usize); 2] = [(50, 110), (90, 220)];
const FUNCTION_PERCENTILES: [(usize, usize); 1] = [(50, 10)];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let production: Vec<&SourceFile> = workspace.sources_of_kind(FileKind::Production).collect();
    let files: Vec<usize> = production.iter().map(|source| source.count_production_lines()).collect();
    let functions: Vec<usize> = production
        .iter()
        .flat_map(|source| measure_functions(source))
        .filter(|one| !one.is_test)
        .map(|one| one.lines)
        .collect();

    let mut violations: Vec<Violation> = production.iter().filter_map(|source| check_file(source)).collect();
    violations.extend(workspace.sources.iter().flat_map(check_functions));
    violations.extend(
        FILE_PERCENTILES.iter().filter_map(|limit| check_distribution("files", files.clone(), *limit)),
    );
    violations.extend(
        FUNCTION_PERCENTILES
            .iter()
            .filter_map(|limit| check_distribution("functions", functions.clone(), *limit)),
    );
    violations
}

fn check_file(source: &SourceFile) -> Option<Violation> {
    let lines = source.count_production_lines();
    let what = format!("{lines} lines of production code, {MAX_FILE_LINES} at most");
    (lines > MAX_FILE_LINES).then(|| Violation::new(&source.path, 1, what, "split it by what its parts are"))
}

fn check_functions(source: &SourceFile) -> Vec<Violation> {
    measure_functions(source).iter().flat_map(|function| check_function(source, function)).collect()
}

fn check_function(source: &SourceFile, function: &FunctionSize) -> Vec<Violation> {
    let FunctionSize { name, line, lines, arguments, .. } = function;
    let mut violations = Vec::new();
    if *lines > MAX_FUNCTION_LINES {
        let what = format!("`{name}` has {lines} lines, {MAX_FUNCTION_LINES} at most");
        violations.push(Violation::new(&source.path, *line, what, "give its steps names of their own"));
    }
    if *arguments > MAX_ARGUMENTS {
        let what = format!("`{name}` takes {arguments} arguments, {MAX_ARGUMENTS} at most");
        violations.push(Violation::new(
            &source.path,
            *line,
            what,
            "put those that belong together in a struct",
        ));
    }
    violations
}

fn check_distribution(
    things: &str,
    mut lines: Vec<usize>,
    (percentile, max_lines): (usize, usize),
) -> Option<Violation> {
    lines.sort_unstable();
    let index = (lines.len() * percentile).div_ceil(100).checked_sub(1)?;
    let what =
        format!("{percentile} % of all {things} have up to {} lines, {max_lines} at most", lines[index]);
    (lines[index] > max_lines)
        .then(|| Violation::new("Cargo.toml", 1, what, format!("shorten the longest {things}")))
}

struct FunctionSize {
    name: String,
    line: usize,
    lines: usize,
    arguments: usize,
    is_test: bool,
}

fn measure_functions(source: &SourceFile) -> Vec<FunctionSize> {
    let mut functions = FunctionVisitor { source, found: Vec::new() };
    functions.visit_file(&source.syntax);
    functions.found
}

struct FunctionVisitor<'a> {
    source: &'a SourceFile,
    found: Vec<FunctionSize>,
}

impl FunctionVisitor<'_> {
    /// Counts from `fn` to the closing brace, without attributes and documentation.
    fn add(&mut self, signature: &Signature, body: &impl Spanned) {
        let (start, end) = (signature.span().start().line, body.span().end().line);
        let is_argument = |input: &&FnArg| matches!(input, FnArg::Typed(_));
        self.found.push(FunctionSize {
            name: signature.ident.to_string(),
            line: start,
            lines: end + 1 - start,
            arguments: signature.inputs.iter().filter(is_argument).count(),
            is_test: self.source.is_test_line(start),
        });
    }
}

impl<'ast> Visit<'ast> for FunctionVisitor<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        syn::visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(text: &str) -> Vec<String> {
        check(&Workspace::from_files([("crates/core/src/x.rs", text)]))
            .iter()
            .map(Violation::to_string)
            .collect()
    }

    #[test]
    fn check_long_file_counts_neither_tests_nor_comments() {
        let long = "const _: () = ();\n".repeat(351);
        assert!(violations(&long)[0].contains("351 lines"));
        let tested = format!("//! X.\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(violations(&tested).is_empty());
        assert!(violations(&"// line\n".repeat(351)).is_empty());
    }

    #[test]
    fn check_long_function_is_violation() {
        let body = "    g();\n".repeat(60);
        let found = violations(&format!("impl X {{\n    fn f(&self) {{\n{body}    }}\n}}\n"));
        assert!(found.iter().any(|violation| violation.contains("x.rs:2: `f` has 62 lines")), "{found:?}");
    }

    #[test]
    fn check_sixth_argument_is_violation() {
        let found = violations("fn f(a: A, b: A, c: A, d: A, e: A, f: A) {}\n");
        assert!(found[0].contains("takes 6 arguments"));
        assert!(violations("impl X {\n    fn f(&self, a: A, b: A, c: A, d: A, e: A) {}\n}\n").is_empty());
    }

    #[test]
    fn check_long_median_function_is_violation() {
        let long = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(20));
        assert!(violations(&long)[0].contains("50 % of all functions have up to 22 lines"));
    }
}
