//! `valetkey check`: reports all errors of both files, each with its line and without values.

mod accounts;
mod files;
mod live;
mod places;
mod policies;
mod principals;
mod providers;
mod servers;
mod sign_ins;
mod sound;

use std::collections::BTreeSet;

use crate::shell::{ProgramOutput, Shell};

/// A value that occurs where a secret might be pasted by mistake.
const CANARY: &str = "canary";

/// Checks `text` as `valetkey.toml`. Each line that ends in `#! words` must be reported with these words. No other line
/// and no value may be reported.
async fn assert_diagnostics(text: &str) {
    let checked = Shell::new().file("valetkey.toml", text).run(&["check"]).await;
    let wanted = text.lines().enumerate().filter_map(|(index, line)| {
        let (_, words) = line.split_once("#! ")?;
        Some((index + 1, words.trim()))
    });
    let mut lines = BTreeSet::new();
    for (line, words) in wanted {
        lines.insert(line);
        let place = format!("error: valetkey.toml:{line}: ");
        let is_reported = checked.stderr.lines().any(|line| line.starts_with(&place) && line.contains(words));
        assert!(is_reported, "line {line}: {words}\n{}", checked.stderr);
    }
    assert_eq!(checked.stderr.lines().count(), lines.len(), "{}", checked.stderr);
    assert_refused(&checked);
}

fn assert_refused(checked: &ProgramOutput) {
    assert_eq!(checked.code, Some(78), "{}", checked.stderr);
    assert_eq!(checked.stdout, "");
    assert!(!checked.stderr.contains(CANARY), "{}", checked.stderr);
}
