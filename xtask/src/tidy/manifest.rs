//! Checks manifests: lints and versions are inherited from the workspace.

use toml::{Table, Value};

use super::{Violation, Workspace};

/// A `Cargo.toml` of a member or of the root. The dependencies of the root are those that members can inherit.
pub(crate) struct Manifest {
    pub(crate) path: String,
    pub(crate) package: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    inherits_lints: bool,
    /// Whether the package is a workspace of its own, such as the bench, and can inherit nothing from this one.
    is_own_workspace: bool,
}

/// An entry under a `dependencies` heading.
pub(crate) struct Dependency {
    /// The name of the package, even if the manifest renames it.
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) is_dev: bool,
    key: String,
    specifies_version: bool,
}

impl Manifest {
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Violation> {
        let violation = |error| Violation::new(path, 1, format!("not TOML: {error}"), "correct it");
        let table: Table = text.parse().map_err(violation)?;
        let package = table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
        let inherits = table.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
        Ok(Self {
            path: path.to_owned(),
            package: package.map(str::to_owned),
            dependencies: all_dependencies(&table, text),
            inherits_lints: inherits == Some(true),
            is_own_workspace: package.is_some() && table.contains_key("workspace"),
        })
    }

    /// Returns the dependencies that users get too.
    pub(crate) fn runtime_dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| !dependency.is_dev)
    }
}

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let ours = workspace.manifests.iter().filter(|manifest| !manifest.is_own_workspace);
    let (members, roots): (Vec<_>, Vec<_>) = ours.partition(|manifest| manifest.package.is_some());
    let unused = roots.iter().flat_map(|root| check_unused_dependencies(root, &members));
    members.iter().flat_map(|member| check_member(member)).chain(unused).collect()
}

fn check_unused_dependencies(root: &Manifest, members: &[&Manifest]) -> Vec<Violation> {
    let is_used = |offer: &Dependency| {
        members.iter().flat_map(|member| &member.dependencies).any(|dependency| dependency.key == offer.key)
    };
    let unused = root.dependencies.iter().filter(|offer| !is_used(offer));
    unused
        .map(|offer| {
            let what = format!("no member uses `{}`", offer.key);
            Violation::new(&root.path, offer.line, what, "remove it from [workspace.dependencies]")
        })
        .collect()
}

fn check_member(manifest: &Manifest) -> Vec<Violation> {
    let own = manifest.dependencies.iter().filter(|dependency| dependency.specifies_version);
    let mut violations: Vec<Violation> = own
        .map(|dependency| {
            let what = format!("`{}` has a version of its own", dependency.name);
            let remedy = "move the version to [workspace.dependencies], say `workspace = true` here";
            Violation::new(&manifest.path, dependency.line, what, remedy)
        })
        .collect();
    if !manifest.inherits_lints {
        let remedy = "add `[lints]` with `workspace = true`";
        violations.push(Violation::new(
            &manifest.path,
            1,
            "does not take the lints of the workspace",
            remedy,
        ));
    }
    violations
}

fn all_dependencies(table: &Table, text: &str) -> Vec<Dependency> {
    let targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let offers = table.get("workspace");
    let tables = std::iter::once(table).chain(targets.chain(offers).filter_map(Value::as_table));
    tables.flat_map(|table| table_dependencies(table, text)).collect()
}

fn table_dependencies(table: &Table, text: &str) -> Vec<Dependency> {
    let section = |name: &str| table.get(name).and_then(Value::as_table).cloned().unwrap_or_default();
    let read = |name: &'static str| {
        section(name)
            .into_iter()
            .map(move |(key, value)| parse_dependency(key, &value, name == "dev-dependencies", text))
    };
    ["dependencies", "build-dependencies", "dev-dependencies"].into_iter().flat_map(read).collect()
}

fn parse_dependency(key: String, value: &Value, for_tests: bool, text: &str) -> Dependency {
    let is_key = |line: &str| {
        line.trim_start().strip_prefix(&key).is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    };
    let line = text.lines().position(is_key).map_or(1, |index| index + 1);
    let has_own_version = value.get("workspace").is_none() && value.get("path").is_none();
    let name = value.get("package").and_then(Value::as_str).map_or(key.clone(), str::to_owned);
    Dependency { name, line, is_dev: for_tests, key, specifies_version: has_own_version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_own_version_or_missing_lints_is_violation() {
        let text = "[package]\nname = \"x\"\n[dependencies]\nserde = \"1\"\ntokio.workspace = true\n";
        let violations = check(&Workspace::from_files([("crates/x/Cargo.toml", text)]));
        assert_eq!(violations.len(), 2);
        assert!(
            violations[0].to_string().starts_with("crates/x/Cargo.toml:4: `serde` has a version of its own")
        );
    }

    #[test]
    fn check_unused_workspace_dependency_is_violation() {
        let root = "[workspace.dependencies]\nserde = \"1\"\nidle = \"1\"\n";
        let member =
            "[package]\nname = \"x\"\n[dependencies]\nserde.workspace = true\n[lints]\nworkspace = true\n";
        let violations =
            check(&Workspace::from_files([("Cargo.toml", root), ("crates/x/Cargo.toml", member)]));
        assert_eq!(violations.len(), 1);
        assert!(violations[0].to_string().starts_with("Cargo.toml:3: no member uses `idle`"));
    }

    #[test]
    fn check_own_workspace_is_exempt() {
        let apart = "[package]\nname = \"x\"\n[workspace]\n[dependencies]\nserde = \"1\"\n";
        assert!(check(&Workspace::from_files([("bench/Cargo.toml", apart)])).is_empty());
        let root = "[workspace.dependencies]\nserde = \"1\"\n";
        assert_eq!(
            check(&Workspace::from_files([("Cargo.toml", root), ("bench/Cargo.toml", apart)])).len(),
            1
        );
    }

    #[test]
    fn check_member_inheriting_everything_passes() {
        let text = "[package]\nname = \"x\"\n[dependencies]\nserde = { workspace = true }\n[lints]\nworkspace = true\n";
        assert!(check(&Workspace::from_files([("crates/x/Cargo.toml", text)])).is_empty());
    }
}
