//! The faults of an environment, each naming the variable and the remedy, never the value.

use valetkey_core::Error;

use super::provider::{SECRET_ACCESS_KEY, SESSION_TOKEN};

pub(super) fn not_configured() -> Error {
    Error::not_configured("neither `AWS_ACCESS_KEY_ID` nor `AWS_SECRET_ACCESS_KEY` is set")
        .with_next_step("export both, or use another provider")
}

/// Half a pair is a mistake, not an absence: somebody meant to set it.
pub(super) fn missing_variable(variable: &'static str, related_variable: &'static str) -> Error {
    Error::invalid(variable, format!("is missing or blank, though `{related_variable}` is set"))
        .with_next_step(format!("export {variable}, or unset {related_variable}"))
}

pub(super) fn not_utf8(variable: &'static str) -> Error {
    Error::invalid(variable, "is not valid UTF-8")
        .with_next_step(format!("export {variable} again, or unset it"))
}

/// A fault of a secret part, told under the name of its variable.
pub(super) fn invalid_part(error: Error) -> Error {
    let variable = match error.field() {
        Some("secret_access_key") => SECRET_ACCESS_KEY,
        Some("session_token") => SESSION_TOKEN,
        _ => return error,
    };
    let rule = error.message().split_once("` ").map_or("is malformed", |(_, rule)| rule).to_owned();
    let renamed = Error::invalid(variable, rule);
    match error.next_step() {
        Some(step) => renamed.with_next_step(step.to_owned()),
        None => renamed.with_next_step(format!("export {variable} again")),
    }
}
