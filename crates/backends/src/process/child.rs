//! One run of the program, without input, with limited output, and without processes that remain; and the JSON document
//! of `credential_process`, version 1, that it prints. Errors contain no part of the document.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::{fmt, io};

use futures_util::future::try_join;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStdout, Command};
use valetkey_core::{
    AccessKeyId, AccountId, Credentials, CredentialsBuilder, Error, ErrorKind, Expiry, Result, SecretString,
};

pub(super) const RUN_MANUALLY: &str = "run the program manually to see its output";
/// The limit of the output, in bytes.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;
/// Enough for the usual output, so that its secret is rarely copied in memory.
const INITIAL_OUTPUT_CAPACITY: usize = 16 * 1024;

/// A program with its arguments, its environment and its working directory.
pub(super) struct Program {
    pub(super) name: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) directory: Option<PathBuf>,
}

impl Program {
    /// Runs the program to its end and returns its output. Dropping the future kills the process group.
    pub(super) async fn output(&self) -> Result<SecretString> {
        let mut running = RunningProgram::spawn(self).map_err(|io_error| spawn_failed(&io_error))?;
        let stdout = running.0.stdout().take();
        let ((), output) = try_join(running.wait_success(), read_output(stdout)).await?;
        String::from_utf8(output).map(SecretString::from).map_err(|_| not_utf8())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.args).env_clear().envs(&self.environment);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// Omits the arguments and the environment, which may contain a secret.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A running program and its process group.
///
/// Dropping it kills the group, so that a cancelled fetch leaves no process.
struct RunningProgram(Box<dyn ChildWrapper>);

impl RunningProgram {
    fn spawn(program: &Program) -> io::Result<Self> {
        let mut command = CommandWrap::from(program.command());
        command.wrap(ProcessGroup::leader());
        command.spawn().map(Self)
    }

    /// Waits for the end of the program, and kills the processes that remain in its group.
    async fn wait_success(&mut self) -> Result<()> {
        let status: ExitStatus = self.0.wait().await.map_err(|_| io_error())?;
        // Processes that it left in its group may hold the output open, and `read_output` waits for its end.
        self.kill_group();
        if status.success() { Ok(()) } else { Err(exit_failure(status)) }
    }

    fn kill_group(&mut self) {
        // An error means that the group has ended.
        let _gone = self.0.start_kill();
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Reads the output to its end, or to one byte beyond the limit.
async fn read_output(stdout: Option<ChildStdout>) -> Result<Vec<u8>> {
    let mut output = Vec::with_capacity(INITIAL_OUTPUT_CAPACITY);
    let stdout = stdout.ok_or_else(io_error)?;
    stdout.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut output).await.map_err(|_| io_error())?;
    if output.len() as u64 > MAX_OUTPUT_BYTES { Err(output_too_large()) } else { Ok(output) }
}

/// A missing or forbidden program needs a person. Other failures may be transient.
fn spawn_failed(error: &io::Error) -> Error {
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
        .with_next_step("check its path, the `PATH` of its environment, and its permissions")
}

/// Only the program knows the cause. The error is transient, so that a session keeps credentials that still work.
fn exit_failure(status: ExitStatus) -> Error {
    let message = match (status.code(), status.signal()) {
        (Some(code), _) => format!("the program ended with exit code {code}"),
        (None, Some(signal)) => format!("the program was ended by signal {signal}"),
        (None, None) => "the program failed".to_owned(),
    };
    Error::new(ErrorKind::Unavailable, message).with_next_step(RUN_MANUALLY)
}

fn io_error() -> Error {
    Error::new(ErrorKind::Unavailable, "the program could not be read").with_next_step("try again")
}

fn output_too_large() -> Error {
    Error::invalid("output", "must be at most 1 MiB").with_next_step(EXPECTED_OUTPUT)
}

fn not_utf8() -> Error {
    Error::invalid("output", "is not valid UTF-8").with_next_step(EXPECTED_OUTPUT)
}

pub(super) const EXPECTED_OUTPUT: &str =
    "have the program print one JSON object with `Version`, `AccessKeyId` and `SecretAccessKey`";

/// Reads `Version` (1), `AccessKeyId`, `SecretAccessKey`, and optionally `SessionToken`, `Expiration` and `AccountId`.
/// Blank and `null` values count as missing; other fields are ignored. The last two have the formats of
/// [`Expiry::from_json`] and [`AccountId::from_json`].
pub(super) fn parse_output(text: &str) -> Result<CredentialsBuilder> {
    let text = text.trim_start_matches('\u{feff}');
    let document: Value = serde_json::from_str(text).map_err(|error| not_json(text, &error))?;
    let fields = document.as_object().ok_or_else(not_an_object)?;
    if fields.get("Version").and_then(Value::as_f64) != Some(1.0) {
        return Err(unsupported_version());
    }
    let id =
        AccessKeyId::parse("AccessKeyId", required_text(fields, "AccessKeyId")?).map_err(malformed_field)?;
    let secret = SecretString::from(required_text(fields, "SecretAccessKey")?);
    let expiry =
        non_blank_value(fields, "Expiration").map(|at| Expiry::from_json("Expiration", at)).transpose()?;
    let account =
        non_blank_value(fields, "AccountId").map(|id| AccountId::from_json("AccountId", id)).transpose();
    Ok(Credentials::builder(id, secret)
        .session_token(optional_text(fields, "SessionToken")?.map(SecretString::from))
        .expiry(expiry.unwrap_or(Expiry::Never))
        .account_id(account.map_err(malformed_field)?))
}

fn required_text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<&'a str> {
    optional_text(fields, name)?.ok_or_else(|| missing_field(name))
}

fn optional_text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>> {
    non_blank_value(fields, name)
        .map(|value| value.as_str().map(str::trim).ok_or_else(|| not_a_string(name)))
        .transpose()
}

fn non_blank_value<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Option<&'a Value> {
    fields
        .get(name)
        .filter(|value| !value.is_null() && value.as_str().is_none_or(|text| !text.trim().is_empty()))
}

/// Distinguishes a program that logs to its standard output, which is a common mistake.
fn not_json(text: &str, error: &serde_json::Error) -> Error {
    let is_document = |text: &str| serde_json::from_str::<Map<String, Value>>(text).is_ok();
    if text.find('{').is_some_and(|start| is_document(&text[start..])) {
        return Error::invalid("output", "has text before the JSON object")
            .with_next_step("have the program print its messages to its standard error");
    }
    let message = format!("`output` is invalid JSON at line {} column {}", error.line(), error.column());
    Error::new(ErrorKind::Invalid, message).with_field("output").with_next_step(EXPECTED_OUTPUT)
}

fn not_an_object() -> Error {
    Error::invalid("output", "must be a JSON object").with_next_step(EXPECTED_OUTPUT)
}

fn unsupported_version() -> Error {
    Error::invalid("Version", "must be the number 1").with_next_step(EXPECTED_OUTPUT)
}

fn missing_field(field: &'static str) -> Error {
    Error::invalid(field, "is missing or blank").with_next_step(EXPECTED_OUTPUT)
}

fn not_a_string(field: &'static str) -> Error {
    Error::invalid(field, "must be a string").with_next_step(EXPECTED_OUTPUT)
}

fn malformed_field(error: Error) -> Error {
    error.with_next_step(EXPECTED_OUTPUT)
}

/// Converts an error of a part of the credentials to the field of the document.
pub(super) fn invalid_part(error: Error) -> Error {
    let field = match error.field() {
        Some("secret_access_key") => "SecretAccessKey",
        Some("session_token") => "SessionToken",
        _ => return error,
    };
    Error::invalid(field, "must be 1 to 16,384 visible ASCII characters").with_next_step(EXPECTED_OUTPUT)
}
