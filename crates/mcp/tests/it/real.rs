//! Tests with real programs and strict emulators. They need `cargo xtask rig`; `cargo xtask test --no-rig` skips
//! them.

mod boto;
mod boto3_fixture;
mod client;
mod configuration;
mod crt;
#[cfg(feature = "http")]
mod http;
mod isolation;
mod keyless;
mod keyless_servers;
mod listener_fixture;
mod malformed;
#[cfg(feature = "http")]
mod many_sessions;
mod proxy;
mod remote;
#[cfg(feature = "http")]
mod servers;
mod switch;
#[cfg(feature = "http")]
mod tasks;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::io::AsyncReadExt;
use valetkey_core::Credentials;
use valetkey_mcp::Redactor;
use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, Stdio};
use valetkey_rig::{AccessKey, Result, Script, aws_environment};

/// Runs a program to its end with this environment, and returns its output.
async fn run_to_output(environment: ChildEnvironment, command: &[String]) -> String {
    let output = run(environment, command).await;
    assert!(output.status.success(), "{}: {}", output.status, output.stderr);
    output.stdout
}

/// The result of a program that has ended.
struct ProgramOutput {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

async fn run(environment: ChildEnvironment, command: &[String]) -> ProgramOutput {
    let (program, args) = command.split_first().unwrap();
    let command = ChildCommand::new(program).args(args);
    let mut child = ChildProcess::spawn(command, environment, Stdio::Piped).unwrap();
    let (mut stdout, _stdin) = child.take_streams().unwrap();
    let mut text = String::new();
    stdout.read_to_string(&mut text).await.unwrap();
    let status = child.wait().await.unwrap();
    child.stderr().wait_drained().await;
    let stderr = child.stderr().last_lines(&Redactor::default(), 20);
    ProgramOutput { status, stdout: text, stderr }
}

fn python_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// Returns the variables of a script that signs with `key` and sends every request to `endpoint`.
fn signing_env(endpoint: &str, key: &AccessKey) -> Vec<(String, String)> {
    let mut vars = aws_environment(endpoint);
    vars.push(("AWS_ACCESS_KEY_ID".to_owned(), key.access_key_id.clone()));
    vars.push(("AWS_SECRET_ACCESS_KEY".to_owned(), key.secret_access_key.clone()));
    vars
}

/// Assumes a role with an AWS client and returns the credentials. `role` is the role's ARN, followed by further
/// arguments of the script.
async fn assume_role(endpoint: &str, key: &AccessKey, role: &[&str]) -> Result<Credentials> {
    let script =
        role.iter().fold(Script::new(python_script("assume.py")), |script, argument| script.arg(argument));
    let answer = script.envs(signing_env(endpoint, key)).run().await?;
    Ok(Credentials::from_json(&answer, "assumed").unwrap())
}
