//! `valetkey check`: reports all errors of both files, each with its line and without values.

mod accounts;
mod files;
mod json;
mod lines;
mod live;
mod policies;
mod principals;
mod providers;
mod servers;
mod sign_ins;
mod valid_files;

use std::collections::BTreeSet;

use crate::program_fixture::{ProgramFixture, ProgramOutput};

/// A value that occurs where a secret might be pasted by mistake.
const CANARY: &str = "canary";

/// Checks `text` as `valetkey.toml`. Each line that ends in `#! words` must be reported with these words. No other line
/// and no value may be reported.
async fn assert_diagnostics(text: &str) {
    let output = ProgramFixture::new().file("valetkey.toml", text).run(&["check"]).await;
    let wanted = text.lines().enumerate().filter_map(|(index, line)| {
        let (_, words) = line.split_once("#! ")?;
        Some((index + 1, words.trim()))
    });
    let mut lines = BTreeSet::new();
    for (line, words) in wanted {
        lines.insert(line);
        let place = format!("error: valetkey.toml:{line}: ");
        let is_reported = output.stderr.lines().any(|line| line.starts_with(&place) && line.contains(words));
        assert!(is_reported, "line {line}: {words}\n{}", output.stderr);
    }
    assert_eq!(output.stderr.lines().count(), lines.len(), "{}", output.stderr);
    assert_refused(&output);
}

fn assert_refused(output: &ProgramOutput) {
    assert_eq!(output.code, Some(78), "{}", output.stderr);
    assert_eq!(output.stdout, "");
    assert!(!output.stderr.contains(CANARY), "{}", output.stderr);
}
