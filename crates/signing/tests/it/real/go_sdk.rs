//! The SDK for Go through the proxy, before moto: the version that Debian packages.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use valetkey_rig::{GO_PACKAGES, go, target_dir};

use super::fixture::{Variables, compare};

/// Compiles the program with the packages of Debian.
async fn compile(source: &str, program: &Path) {
    let cache = target_dir().join("go");
    let mut command = Command::new(go().unwrap());
    command.args(["build", "-o"]).args([program, Path::new(source)]);
    command.env("GO111MODULE", "off").env("GOPATH", GO_PACKAGES).env("GOCACHE", cache);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn run(program: &Path, variables: Variables) -> Value {
    let output = Command::new(program).env_clear().envs(variables).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn operations_of_go_sdk_return_what_direct_ones_do() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("operations");
    compile(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/real/go_sdk.go"), &program).await;
    let (proxied, expected) = compare(async |variables| run(&program, variables).await).await;
    assert_eq!(proxied, expected);
    let results = proxied["results"].as_array().unwrap();
    let failures: Vec<_> =
        results.iter().filter(|result| result[1].to_string().contains("error: ")).collect();
    assert_eq!(results.len(), 18, "{results:?}");
    assert_eq!(failures, [&json!(["HeadObject of nothing", "error: NotFound"])]);
}
