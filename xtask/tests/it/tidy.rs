//! The violations that `cargo xtask tidy` finds in this repository.

use xtask::tidy::{Violation, violations};

#[test]
fn tidy_repository_has_no_violations() {
    let violations = violations(&xtask::workspace_root()).unwrap();
    let messages: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(messages.is_empty(), "{}", messages.join("\n"));
}
