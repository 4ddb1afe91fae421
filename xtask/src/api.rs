//! `cargo xtask api`: compares the public API of the libraries with the committed snapshots.

use std::{env, fs, process::Command};

use clap::Args;
use public_api::Builder;
use similar::TextDiff;
use valetkey_rig::target_dir;

use crate::{Result, XtaskError, step::run_cargo_with_env, workspace_root};

/// The facade, the crates that it re-exports, since rustdoc describes what a crate re-exports where it is defined, the
/// store, and the signing proxy.
const LIBRARIES: [&str; 7] = [
    "valetkey",
    "valetkey-core",
    "valetkey-backends",
    "valetkey-tools",
    "valetkey-mcp",
    "valetkey-store",
    "valetkey-signing",
];

/// The folder of the snapshots, one for each library.
const SNAPSHOTS: &str = "docs/api";

/// Auto traits that no library promises. Of the others, `Send` and `Sync`, every change matters to users.
const UNLISTED_TRAITS: [&str; 5] = [
    "core::marker::Freeze",
    "core::marker::Unpin",
    "core::marker::UnsafeUnpin",
    "core::panic::unwind_safe::RefUnwindSafe",
    "core::panic::unwind_safe::UnwindSafe",
];

/// Marks a process that cargo has started in place of rustdoc.
const AS_RUSTDOC: &str = "XTASK_AS_RUSTDOC";

/// The options of the comparison.
#[derive(Args, Debug, Default)]
pub struct ApiArgs {
    /// Write the snapshots instead of comparing with them.
    #[arg(long)]
    bless: bool,
}

/// Compares the public API of each library with its snapshot, and prints the differences.
pub fn run(options: &ApiArgs) -> Result<()> {
    write_rustdoc_json()?;
    let changed = LIBRARIES.into_iter().map(|library| check_library(library, options.bless));
    match changed.collect::<Result<Vec<bool>>>()?.into_iter().filter(|changed| *changed).count() {
        0 => Ok(()),
        changed => Err(XtaskError::ApiChanged(changed)),
    }
}

/// Starts rustdoc with its unstable output formats if cargo has started this process in place of rustdoc, and returns
/// whether rustdoc succeeded.
///
/// A stable rustdoc writes JSON only under `RUSTC_BOOTSTRAP`. No other program may see this variable: the build scripts
/// of many dependencies react to it, so that cargo would compile the whole workspace again.
pub fn run_as_rustdoc() -> Option<bool> {
    env::var_os(AS_RUSTDOC)?;
    let rustdoc = Command::new("rustdoc").args(env::args_os().skip(1)).env("RUSTC_BOOTSTRAP", "1").status();
    Some(rustdoc.is_ok_and(|status| status.success()))
}

/// Documents the workspace as JSON, with the arguments of the documentation step, so that nothing is compiled for it.
fn write_rustdoc_json() -> Result<()> {
    let own_path =
        env::current_exe().map_err(|error| XtaskError::read_failed("the path of xtask", &error))?;
    let variables = [
        ("RUSTDOC", own_path.to_str().unwrap_or_default()),
        ("RUSTDOCFLAGS", "-Z unstable-options --output-format json"),
        (AS_RUSTDOC, "1"),
    ];
    run_cargo_with_env(&["doc", "--quiet", "--workspace", "--all-features", "--no-deps"], &variables)
}

/// Returns whether the API of the library differs from its snapshot.
fn check_library(library: &str, bless: bool) -> Result<bool> {
    let json = target_dir().join("doc").join(format!("{}.json", library.replace('-', "_")));
    let api = Builder::from_rustdoc_json(&json).omit_blanket_impls(true).build();
    let api = api.map_err(|error| XtaskError::ApiUnreadable {
        path: json.display().to_string(),
        reason: error.to_string(),
    })?;
    let api = list_items(&api.to_string());
    let path = format!("{SNAPSHOTS}/{library}.txt");
    let file = workspace_root().join(&path);
    if bless {
        let written =
            fs::create_dir_all(workspace_root().join(SNAPSHOTS)).and_then(|()| fs::write(file, api));
        return written.map(|()| false).map_err(|error| XtaskError::write_failed(&path, &error));
    }
    let snapshot = fs::read_to_string(file).unwrap_or_default();
    print!("{}", diff(&path, &snapshot, &api));
    Ok(snapshot != api)
}

fn list_items(api: &str) -> String {
    let is_listed = |line: &&str| !UNLISTED_TRAITS.iter().any(|name| line.contains(&format!("{name} for ")));
    api.lines().filter(is_listed).map(|line| format!("{line}\n")).collect()
}

fn diff(path: &str, snapshot: &str, api: &str) -> String {
    TextDiff::from_lines(snapshot, api).unified_diff().context_radius(0).header(path, "now").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diff_lists_removed_and_added_items_only() {
        let shown = diff("x.txt", "pub fn a()\npub fn b()\n", "pub fn b()\npub fn c()\n");
        assert!(shown.contains("-pub fn a()\n") && shown.contains("+pub fn c()\n"), "{shown}");
        assert!(!shown.contains("pub fn b()"), "{shown}");
        assert_eq!(diff("x.txt", "pub fn a()\n", "pub fn a()\n"), "");
    }

    #[test]
    fn list_items_keeps_send_and_sync_of_auto_traits() {
        let api = "impl core::marker::Send for a::A\nimpl core::marker::Unpin for a::A\n";
        assert_eq!(list_items(api), "impl core::marker::Send for a::A\n");
    }
}
