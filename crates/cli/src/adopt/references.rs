//! `PassedVars`: the variables that the client fills in and passes to valetkey, because only the client can.

use std::collections::BTreeMap;

/// Variables that every client passes to the programs that it starts.
const INHERITED_VARS: &[&str] = &["HOME", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "USER"];

/// The variables of valetkey's entry in the client's file, by name. Each value is a reference as the client wrote it,
/// such as `${input:token}` or `${workspaceFolder}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PassedVars(BTreeMap<String, String>);

impl PassedVars {
    /// Returns the variables and their references.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// Passes `reference` as the variable `name`. Returns whether that is possible: another reference may have the name.
    pub(super) fn pass_as(&mut self, name: &str, reference: &str) -> bool {
        self.0.entry(name.to_owned()).or_insert_with(|| reference.to_owned()) == reference
    }

    /// Returns `text` with the references that only the client can resolve replaced by variables, and passes these and
    /// the environment variables that it names.
    pub(super) fn rewrite(&mut self, text: &str) -> String {
        let mut written = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, after) = rest.split_at(start);
            written.push_str(before);
            let Some(end) = after.find('}') else {
                rest = after;
                break;
            };
            let (reference, after) = after.split_at(end + 1);
            if before.ends_with('$') {
                written.push_str(reference);
            } else {
                written.push_str(&self.rewrite_reference(reference));
            }
            rest = after;
        }
        written.push_str(rest);
        written
    }

    fn rewrite_reference(&mut self, reference: &str) -> String {
        let name = reference.trim_start_matches("${").trim_end_matches('}');
        let variable = name.strip_prefix("env:").unwrap_or(name);
        if name.starts_with("session:") || variable.contains(":-") {
            return reference.to_owned();
        }
        if is_client_variable(name) {
            return self.rewrite_client_variable(name, reference);
        }
        if !INHERITED_VARS.contains(&variable) {
            self.pass_as(variable, reference);
        }
        reference.to_owned()
    }

    fn rewrite_client_variable(&mut self, name: &str, reference: &str) -> String {
        match name {
            "userHome" => return "${HOME}".to_owned(),
            "pathSeparator" | "/" => return "/".to_owned(),
            _ => {}
        }
        let base = variable_name(name);
        let mut passed = base.clone();
        let mut count = 1;
        while !self.pass_as(&passed, reference) {
            count += 1;
            passed = format!("{base}_{count}");
        }
        format!("${{{passed}}}")
    }
}

/// Whether `text` is one reference and nothing else.
pub(super) fn is_reference(text: &str) -> bool {
    text.strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| !name.contains(['{', '}']))
}

/// Whether editors resolve the name themselves.
fn is_client_variable(name: &str) -> bool {
    let prefixes = ["input:", "config:", "command:", "workspaceFolder", "fileWorkspaceFolder"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
        || matches!(name, "userHome" | "pathSeparator" | "/" | "cwd")
}

/// Returns a name for a variable: `workspaceFolder` becomes `WORKSPACE_FOLDER`, `input:github-token` becomes
/// `GITHUB_TOKEN`.
fn variable_name(name: &str) -> String {
    let name = name.rsplit_once("input:").map_or(name, |(_, name)| name);
    let mut written = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && written.chars().last().is_some_and(|last| last.is_ascii_alphanumeric()) {
            written.push('_');
        }
        written.push(if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    }
    if written.starts_with(|c: char| c.is_ascii_digit()) { format!("_{written}") } else { written }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrite_client_references_become_variables() {
        let mut vars = PassedVars::default();
        for (text, expected) in [
            ("--dir=${workspaceFolder}/x", "--dir=${WORKSPACE_FOLDER}/x"),
            ("${input:github-token}", "${GITHUB_TOKEN}"),
            ("${input:github_token}", "${GITHUB_TOKEN_2}"),
            ("${env:TOKEN} ${NAME} ${HOME}", "${env:TOKEN} ${NAME} ${HOME}"),
            ("${userHome}/a", "${HOME}/a"),
            ("${NOTES:-${HOME}/notes}", "${NOTES:-${HOME}/notes}"),
            ("$${workspaceFolder}", "$${workspaceFolder}"),
            ("open ${", "open ${"),
        ] {
            assert_eq!(vars.rewrite(text), expected, "{text}");
        }
        let passed: Vec<_> = vars.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = [
            "GITHUB_TOKEN=${input:github-token}",
            "GITHUB_TOKEN_2=${input:github_token}",
            "NAME=${NAME}",
            "TOKEN=${env:TOKEN}",
            "WORKSPACE_FOLDER=${workspaceFolder}",
        ];
        assert_eq!(passed, expected);
    }

    #[test]
    fn is_reference_accepts_one_whole_reference() {
        for (text, expected) in
            [("${A}", true), ("${env:A}", true), ("${A}x", false), ("${A}${B}", false), ("A", false)]
        {
            assert_eq!(is_reference(text), expected, "{text}");
        }
    }
}
