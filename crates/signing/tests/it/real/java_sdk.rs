//! The SDK for Java through the proxy, before moto. Over `http`, it signs each chunk of a body and a trailer, as that for Rust does.

use serde_json::{Value, json};
use tokio::process::Command;
use valetkey_rig::{MiniStack, java, java_class_path};

use super::fixture::{ProxyFixture, Variables, compare, user_key};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/real/java_sdk.java");

async fn run(arguments: &[&str], variables: Variables) -> Value {
    let mut command = Command::new(java().unwrap());
    // Otherwise the source is read, and the results are written, in the encoding of the locale.
    command
        .arg("-Dfile.encoding=UTF-8")
        .arg("--class-path")
        .arg(java_class_path().unwrap())
        .arg(PROGRAM)
        .args(arguments);
    let output = command.env_clear().envs(variables).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn operations_of_java_sdk_return_what_direct_ones_do() {
    let (proxied, expected) = compare(async |variables| run(&[], variables).await).await;
    assert_eq!(proxied, expected);
    assert_eq!(
        proxied["payloads"],
        json!(["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD", "hash"])
    );
    let results = proxied["results"].as_array().unwrap();
    let failures: Vec<_> =
        results.iter().filter(|result| result[1].to_string().contains("error: ")).collect();
    assert_eq!(results.len(), 43, "{results:?}");
    let no_object = json!(["HeadObject of nothing", "error: NoSuchKey"]);
    let no_table = json!(["GetItem of no table", "error: ResourceNotFoundException"]);
    assert_eq!(failures, [&no_object, &no_object, &no_object, &no_table]);
}

/// The requests that the proxy has signed, among them one for a key whose `//` the SDK sends as `/%2F`.
#[tokio::test]
async fn objects_of_java_sdk_reach_strict_peer() {
    let ministack = MiniStack::start().await.unwrap();
    let fixture = ProxyFixture::start_with(&ministack.url(), &user_key(&ministack).await).await;
    let proxied = run(&["objects"], fixture.variables()).await;
    let results = proxied["results"].as_array().unwrap();
    let failures: Vec<_> =
        results.iter().filter(|result| result[1].to_string().contains("error: ")).collect();
    assert_eq!(failures, [&json!(["HeadObject of nothing", "error: NoSuchKey"]); 3], "{results:?}");
    ministack.stop().await.unwrap();
}
