//! Tests that start real peers: they need `cargo xtask rig`, and `cargo xtask test --no-rig` leaves them out.

mod aws_api;
mod egress;
mod ministack;
mod moto;
mod packages;

use std::path::{Path, PathBuf};

use valetkey_rig::{AccessKey, Result, Script, aws_environment};

fn script_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// The variables of a child that signs with `key` and sends everything to `endpoint`.
fn signing_env(endpoint: &str, key: &AccessKey) -> Vec<(String, String)> {
    let mut vars = aws_environment(endpoint);
    vars.push(("AWS_ACCESS_KEY_ID".to_owned(), key.access_key_id.clone()));
    vars.push(("AWS_SECRET_ACCESS_KEY".to_owned(), key.secret_access_key.clone()));
    vars
}

/// Returns the identity that `endpoint` reports for `key`, or its error code.
async fn caller_arn(endpoint: &str, key: &AccessKey) -> Result<String> {
    let answer = Script::new(script_path("caller.py")).envs(signing_env(endpoint, key)).run().await?;
    Ok(answer.trim().to_owned())
}

fn unknown_key() -> AccessKey {
    AccessKey { access_key_id: "AKIAUNKNOWN000000001".to_owned(), secret_access_key: "unknown".to_owned() }
}
