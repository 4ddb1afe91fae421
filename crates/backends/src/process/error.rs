//! What goes wrong with a program and what it prints. Nothing that it printed is repeated, on either stream.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use valetkey_core::{Error, ErrorKind};

const RUN_MANUALLY: &str = "run the program by hand to see what it says";
const EXPECTED_OUTPUT: &str =
    "have the program print one JSON object with `Version`, `AccessKeyId` and `SecretAccessKey`";

/// A program that is not there or may not be run stays so until somebody puts it right; any other failure may pass.
pub(super) fn spawn_failed(error: &io::Error) -> Error {
    let (kind, rule) = match error.kind() {
        io::ErrorKind::NotFound => (ErrorKind::Invalid, "names a program or a directory that does not exist"),
        io::ErrorKind::PermissionDenied => (ErrorKind::Invalid, "names a program that may not be run"),
        io::ErrorKind::InvalidInput | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            (ErrorKind::Invalid, "names no possible program")
        }
        _ => (ErrorKind::Unavailable, "names a program that cannot be started now"),
    };
    Error::new(kind, format!("`program` {rule}"))
        .with_field("program")
        .with_next_step("check its path, the `PATH` it is given, and its permissions")
}

/// Why, only the program knows: signed out, offline, misused. Transient, so that credentials that still work are not
/// taken away.
pub(super) fn exit_failure(status: ExitStatus) -> Error {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("the program ended with exit code {code}"),
        (None, Some(signal)) => format!("the program was ended by signal {signal}"),
        (None, None) => "the program failed".to_owned(),
    };
    Error::new(ErrorKind::Unavailable, how).with_next_step(RUN_MANUALLY)
}

pub(super) fn timed_out() -> Error {
    Error::new(ErrorKind::TimedOut, "the program did not end in time").with_next_step(RUN_MANUALLY)
}

pub(super) fn invalid_timeout() -> Error {
    Error::invalid("timeout", "must be 1 s to 1 h")
}

pub(super) fn io_error() -> Error {
    Error::new(ErrorKind::Unavailable, "the program could not be read").with_next_step("try again")
}

pub(super) fn output_too_large() -> Error {
    Error::invalid("output", "must be at most 1 MiB").with_next_step(EXPECTED_OUTPUT)
}

pub(super) fn not_utf8() -> Error {
    Error::invalid("output", "is not valid UTF-8").with_next_step(EXPECTED_OUTPUT)
}

/// Programs that log to their standard output are common enough for an error of their own.
pub(super) fn not_json(text: &str, error: &serde_json::Error) -> Error {
    let is_document =
        |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
    if text.find('{').is_some_and(|start| is_document(&text[start..])) {
        return Error::invalid("output", "has text before the JSON object")
            .with_next_step("have the program print its messages to its standard error");
    }
    let message = format!("`output` is invalid JSON at line {} column {}", error.line(), error.column());
    Error::new(ErrorKind::Invalid, message).with_field("output").with_next_step(EXPECTED_OUTPUT)
}

pub(super) fn not_an_object() -> Error {
    Error::invalid("output", "must be a JSON object").with_next_step(EXPECTED_OUTPUT)
}

pub(super) fn unsupported_version() -> Error {
    Error::invalid("Version", "must be the number 1").with_next_step(EXPECTED_OUTPUT)
}

pub(super) fn missing_field(field: &'static str) -> Error {
    Error::invalid(field, "is missing or blank").with_next_step(EXPECTED_OUTPUT)
}

pub(super) fn not_a_string(field: &'static str) -> Error {
    Error::invalid(field, "must be a string").with_next_step(EXPECTED_OUTPUT)
}

pub(super) fn malformed_field(error: Error) -> Error {
    error.with_next_step(EXPECTED_OUTPUT)
}

/// A fault of a secret part, told under its name in the document.
pub(super) fn invalid_part(error: Error) -> Error {
    let field = match error.field() {
        Some("secret_access_key") => "SecretAccessKey",
        Some("session_token") => "SessionToken",
        _ => return error,
    };
    Error::invalid(field, "must be 1 to 16,384 visible ASCII characters").with_next_step(EXPECTED_OUTPUT)
}

pub(super) fn empty_program() -> Error {
    Error::invalid("program", "must not be empty").with_next_step("name the program to run")
}

pub(super) fn unclosed_quote() -> Error {
    Error::invalid("credential_process", "has a quote or an escape that does not end")
        .with_next_step("close the quote")
}

pub(super) fn needs_shell() -> Error {
    Error::invalid("credential_process", "needs a shell, and none is used").with_next_step(
        "put what a shell would act on between single quotes, or name `/bin/sh` with `-c` as the program",
    )
}
