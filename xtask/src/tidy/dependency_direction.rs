//! Checks which crate may depend on which: dependencies point inward, to `core`.

use super::{
    Violation, Workspace,
    manifest::{Dependency, Manifest},
};

/// Each member, and the members that it may depend on. A member that is missing from the list is a violation: decide on
/// its dependencies and add it.
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 15] = [
    ("valetkey-core", &[]),
    ("valetkey-backends", &["valetkey-core"]),
    ("valetkey-tools", &["valetkey-core"]),
    ("valetkey-mcp", &["valetkey-core", "valetkey-store", "valetkey-tools", "valetkey-signing"]),
    ("valetkey", &["valetkey-core", "valetkey-backends", "valetkey-store", "valetkey-tools", "valetkey-mcp"]),
    ("valetkey-store", &["valetkey-core"]),
    ("valetkey-signing", &["valetkey-core"]),
    ("valetkey-local-aws", &[]),
    (
        "valetkey-cli",
        &[
            "valetkey",
            "valetkey-core",
            "valetkey-backends",
            "valetkey-tools",
            "valetkey-mcp",
            "valetkey-local-aws",
        ],
    ),
    ("valetkey-rig", &[]),
    ("valetkey-conformance-server", &[]),
    (
        "valetkey-bench",
        &[
            "valetkey-core",
            "valetkey-backends",
            "valetkey-mcp",
            "valetkey-rig",
            "valetkey-signing",
            "valetkey-store",
            "valetkey-tools",
        ],
    ),
    ("valetkey-frameworks", &["valetkey"]),
    ("valetkey-simulate", &[]),
    ("xtask", &["valetkey-rig"]),
];

/// External crates that only one member may depend on, since their types change often. The fixture of the conformance
/// suite is a peer, and the bench contains peers: both are no code of valetkey.
const RESTRICTED_CRATES: [(&str, &str); 1] = [("rmcp", "valetkey-mcp")];
const EXEMPT_PEERS: [&str; 2] = ["valetkey-conformance-server", "valetkey-bench"];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    workspace.manifests.iter().flat_map(check_member).collect()
}

fn check_member(manifest: &Manifest) -> Vec<Violation> {
    let Some(package) = manifest.package.as_deref() else { return Vec::new() };
    let Some((_, allowed)) = ALLOWED_DEPENDENCIES.iter().find(|(name, _)| *name == package) else {
        let what = format!("`{package}` has no place in the dependency direction");
        return vec![Violation::new(
            &manifest.path,
            1,
            what,
            "add it to xtask/src/tidy/dependency_direction.rs",
        )];
    };
    manifest
        .runtime_dependencies()
        .filter_map(|dependency| check_edge(manifest, package, allowed, dependency))
        .collect()
}

fn check_edge(manifest: &Manifest, from: &str, allowed: &[&str], to: &Dependency) -> Option<Violation> {
    let ours = ALLOWED_DEPENDENCIES.iter().any(|(name, _)| *name == to.name);
    let is_restricted =
        |name: &str, owner: &str| name == to.name && owner != from && !EXEMPT_PEERS.contains(&from);
    let owner = RESTRICTED_CRATES.iter().find(|(name, owner)| is_restricted(name, owner));
    let remedy = match owner {
        Some((_, owner)) => format!("only {owner} may; keep its types behind that crate"),
        None if ours && !allowed.contains(&to.name.as_str()) => {
            "dependencies point inward: cli, valetkey, {mcp, tools, backends}, core".to_owned()
        }
        None => return None,
    };
    Some(Violation::new(&manifest.path, to.line, format!("`{from}` names `{}`", to.name), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(package: &str, dependency: &str, section: &str) -> Vec<Violation> {
        let text = format!("[package]\nname = \"{package}\"\n[{section}]\n{dependency}.workspace = true\n");
        check(&Workspace::from_files([("crates/x/Cargo.toml", text)]))
    }

    #[test]
    fn check_outward_dependency_is_violation() {
        for (from, to) in [("valetkey-core", "valetkey-tools"), ("valetkey-mcp", "valetkey-backends")] {
            assert_eq!(violations(from, to, "dependencies").len(), 1, "{from} -> {to}");
        }
        assert!(violations("valetkey-mcp", "valetkey-tools", "dependencies").is_empty());
    }

    #[test]
    fn check_dev_dependency_passes() {
        assert!(violations("valetkey-tools", "valetkey-backends", "dev-dependencies").is_empty());
        assert_eq!(
            violations("valetkey-tools", "valetkey-backends", "target.'cfg(unix)'.dependencies").len(),
            1
        );
    }

    #[test]
    fn check_rmcp_outside_mcp_is_violation() {
        assert_eq!(violations("valetkey-cli", "rmcp", "dependencies").len(), 1);
        assert!(violations("valetkey-mcp", "rmcp", "dependencies").is_empty());
    }

    #[test]
    fn check_unlisted_member_is_violation() {
        assert_eq!(violations("valetkey-new", "serde", "dependencies").len(), 1);
    }
}
