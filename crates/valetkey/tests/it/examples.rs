//! Each example exits with success, prints the expected output and prints no secret.

use std::path::PathBuf;
use std::process::Command;

/// A part of every secret in the examples.
const SECRET: &str = "demo-secret";

#[test]
fn isolation_example_shows_only_global_context_crossing() {
    let shown = run_example("isolation", include_str!("../../examples/isolation.rs"));
    for row in [
        "its own user's credentials                   4                39",
        "ANOTHER USER'S credentials                  28                 0",
        "none: another user cleared them              7                 0",
        "global context: crossed, as it must",
        "sessions: held",
    ] {
        assert!(shown.contains(row), "{row:?} is not in:\n{shown}");
    }
}

#[test]
fn full_flow_example_prints_each_step_in_order() {
    let shown = run_example("full_flow", include_str!("../../examples/full_flow.rs"));
    let mut rest = shown.as_str();
    for expected in [
        "aws-cred-42 in region eu-central-1, access key ending in 0042",
        "Error: No credentials of this session are kept under that id",
        "\"key_suffix\":\"0042\"",
        "logs: …0042",
        "orders-api",
        "before: …0001",
        "after: …0002",
        "in the child: …0007",
        "everywhere else: …0042",
        "Successfully cleared all credentials and context from memory",
        "a handle that was kept: the session is closed",
        "Deny",
        "Clear",
        "Close",
    ] {
        let at = rest.find(expected);
        rest = at
            .map(|at| &rest[at..])
            .unwrap_or_else(|| panic!("{expected:?} is not, or not in order, in:\n{shown}"));
    }
}

/// Runs an example, checks that it succeeds, and returns its output.
fn run_example(name: &str, source: &str) -> String {
    assert!(source.contains(SECRET), "{name} makes no secret that could be looked for");
    let output = Command::new(example_binary(name)).output().unwrap();
    let (said, complained) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{name} ended with {}:\n{said}\n{complained}", output.status);
    assert!(
        !said.contains(SECRET) && !complained.contains(SECRET),
        "{name} shows a secret:\n{said}\n{complained}"
    );
    said
}

/// Returns the path of an example, which Cargo builds next to the folder of this test.
fn example_binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let binary = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let remedy =
        "run `cargo build -p valetkey --examples --all-features` first; `cargo test` without `--test` does";
    assert!(binary.exists(), "{name} is not built: {remedy}");
    binary
}
