//! Tests with real peers: they need `cargo xtask rig`, and `cargo xtask test --no-rig` skips them.

mod access;
mod chromium;
mod clients;
mod demo;
mod exchange;
mod exec;
mod metrics;
mod mfa;
mod narrowed;
mod presign;
mod quick_starts;
mod redis_fleet;
mod remote;
mod resolver;
mod roles;
mod serve;
mod terminal;
mod upstream_proxy;
mod workflow;

use std::path::{Path, PathBuf};

use valetkey_rig::{AccessKey, Tenant, aws_environment, program};

use crate::program_fixture::ProgramFixture;

fn python_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

fn node_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node").join(name)
}

/// Returns the path of a program of the rig, as an argument.
fn program_path(name: &str) -> String {
    program(name).unwrap().to_str().unwrap().to_owned()
}

/// Settings of an account that assumes the role of a tenant with the keys of the environment, and of a policy.
fn tenant_settings(tenant: &Tenant) -> String {
    let Tenant { role_arn, external_id, .. } = tenant;
    format!(
        r#"
[session]
default_account = "tenant"
[accounts.keys]
provider = "environment"
[accounts.tenant]
provider = "assume-role"
source = "keys"
role_arn = "{role_arn}"
external_id = "{external_id}"
[policies.reading]
read_only = ["s3"]
"#
    )
}

/// A fixture with a key, and AWS at `endpoint`.
fn fixture_with_key(endpoint: &str, key: &AccessKey) -> ProgramFixture {
    ProgramFixture::new()
        .envs(aws_environment(endpoint))
        .env("AWS_ACCESS_KEY_ID", &key.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key)
}

/// A key that only a lenient peer accepts.
fn unknown_key() -> AccessKey {
    AccessKey {
        access_key_id: "AKIAUNKNOWN000000001".to_owned(),
        secret_access_key: "nobodys-secret".to_owned(),
    }
}
