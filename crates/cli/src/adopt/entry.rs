//! Reads the entry of one server: its variables, its arguments, and how its command line selects credentials.

use serde_json::{Map, Value};

use super::plan::PROFILE_VARS;
use crate::check::CONTAINER_PROGRAMS;

const PROFILE_OPTIONS: &[&str] = &["--profile", "--aws-profile"];
/// Programs that give another program AWS credentials of their own.
const WRAPPERS: &[&str] = &["aws-vault", "aws-sso", "aws-okta", "granted", "assume", "saml2aws", "leapp"];

pub(super) fn env_of(entry: &Map<String, Value>) -> Vec<(String, String)> {
    let env = entry.get("env").and_then(Value::as_object).into_iter().flatten();
    env.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

pub(super) fn args_of(entry: &Map<String, Value>) -> Vec<&str> {
    let args = entry.get("args").and_then(Value::as_array).into_iter().flatten();
    args.map(|arg| arg.as_str().unwrap_or_default()).collect()
}

fn program_of(entry: &Map<String, Value>) -> &str {
    let command = entry.get("command").and_then(Value::as_str).unwrap_or_default();
    command.rsplit('/').next().unwrap_or(command)
}

/// Refuses a command line that selects AWS credentials itself.
pub(super) fn check_command_line(entry: &Map<String, Value>) -> Result<(), String> {
    let (program, args) = (program_of(entry), args_of(entry));
    if WRAPPERS.contains(&program) {
        return Err(format!(
            "`{program}` gives it AWS credentials; name its program as `command`, and adopt again"
        ));
    }
    let assigns = |name: &&&str| args.iter().any(|arg| arg.contains(&format!("{name}=")));
    match PROFILE_VARS.iter().find(assigns) {
        Some(name) => Err(format!("its command line assigns `{name}`; move that to `env`, and adopt again")),
        None => Ok(()),
    }
}

pub(super) fn is_container(entry: &Map<String, Value>) -> bool {
    CONTAINER_PROGRAMS.contains(&program_of(entry))
}

pub(super) fn passes_keys_to_container(entry: &Map<String, Value>) -> bool {
    args_of(entry).iter().any(|arg| *arg == "AWS_ACCESS_KEY_ID" || arg.ends_with("=AWS_ACCESS_KEY_ID"))
}

/// Returns the first argument of a profile option, the number of its arguments, and the profile.
pub(super) fn profile_option(entry: &Map<String, Value>) -> Option<(usize, usize, String)> {
    let args = args_of(entry);
    args.iter().enumerate().find_map(|(index, arg)| {
        let (option, value) = arg.split_once('=').unwrap_or((arg, ""));
        let is_plain =
            |profile: &&str| !profile.is_empty() && !profile.starts_with('-') && !profile.contains("${");
        if !PROFILE_OPTIONS.contains(&option) {
            None
        } else if arg.contains('=') {
            Some(value).filter(is_plain).map(|profile| (index, 1, profile.to_owned()))
        } else {
            args.get(index + 1).copied().filter(is_plain).map(|profile| (index, 2, profile.to_owned()))
        }
    })
}
