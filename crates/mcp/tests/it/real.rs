//! Against real programs and strict emulators: they need `cargo xtask rig`, and `cargo xtask test --no-rig` leaves them out.

mod boto;
mod caller;
mod client;
mod configuration;
mod isolation;
mod malformed;
mod proxy;
mod switch;

use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;
use valetkey_core::Credentials;
use valetkey_mcp::Redactor;
use valetkey_mcp::child::{ChildCommand, ChildEnvironment, ChildProcess, Stdio};
use valetkey_rig::{AccessKey, Result, Script, aws_environment};

/// What a program printed, run to its end with this environment.
async fn output(environment: ChildEnvironment, command: &[String]) -> String {
    let (program, args) = command.split_first().unwrap();
    let args = args.iter().map(Into::into).collect();
    let command = ChildCommand { program: program.into(), args, directory: None, launcher: None };
    let mut child = ChildProcess::spawn(command, environment, Stdio::Piped).unwrap();
    let (mut stdout, _stdin) = child.take_streams().unwrap();
    let mut printed = String::new();
    stdout.read_to_string(&mut printed).await.unwrap();
    let status = child.wait().await.unwrap();
    child.stderr().last_words().await;
    assert!(status.success(), "{status}: {}", child.stderr().masked(&Redactor::default(), 20));
    printed
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// The variables of a script that signs with `key` and sends everything to `endpoint`.
fn signing(endpoint: &str, key: &AccessKey) -> Vec<(String, String)> {
    let mut vars = aws_environment(endpoint);
    vars.push(("AWS_ACCESS_KEY_ID".to_owned(), key.access_key_id.clone()));
    vars.push(("AWS_SECRET_ACCESS_KEY".to_owned(), key.secret_access_key.clone()));
    vars
}

/// Credentials of a role, as an AWS client got them: `role` is its ARN and what else the script takes.
async fn assume(endpoint: &str, key: &AccessKey, role: &[&str]) -> Result<Credentials> {
    let script = role.iter().fold(Script::new(script("assume.py")), |script, argument| script.arg(argument));
    let answer = script.envs(signing(endpoint, key)).run().await?;
    Ok(Credentials::from_json(&answer, "assumed").unwrap())
}
