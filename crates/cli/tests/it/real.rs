//! Tests that start real peers: they need `cargo xtask rig`, and `cargo xtask test --no-rig` leaves them out.

mod demo;
mod exchange;
mod exec;
mod mfa;
mod narrowed;
mod roles;
mod serve;
mod terminal;

use std::path::{Path, PathBuf};

use valetkey_rig::{AccessKey, aws_environment, program};

use crate::shell::Shell;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// The path of a program of the rig, as an argument.
fn path_of(name: &str) -> String {
    program(name).unwrap().to_str().unwrap().to_owned()
}

/// Somebody's shell with a key in it, and AWS at `endpoint`.
fn shell(endpoint: &str, key: &AccessKey) -> Shell {
    Shell::new()
        .envs(aws_environment(endpoint))
        .env("AWS_ACCESS_KEY_ID", &key.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key)
}

/// A key that only a lenient peer believes.
fn anybody() -> AccessKey {
    AccessKey { access_key_id: "AKIAUNKNOWN000000001".to_owned(), secret_access_key: "nobodys-secret".to_owned() }
}
