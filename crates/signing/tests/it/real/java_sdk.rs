//! The SDK for Java through the proxy, before moto. Over `http`, it signs each chunk of a body and a trailer, as that for Rust does.

use serde_json::{Value, json};
use tokio::process::Command;
use valetkey_core::SessionContext;
use valetkey_rig::{MiniStack, Moto, java, java_class_path};

use super::boto3::{direct, key, placeholder, proxy_to, region, set, user_key};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/real/java_sdk.java");

async fn run(arguments: &[&str], variables: Vec<(String, String)>) -> Value {
    let mut command = Command::new(java().unwrap());
    // Otherwise the source is read, and the results are written, in the encoding of the locale.
    command
        .arg("-Dfile.encoding=UTF-8")
        .arg("--class-path")
        .arg(java_class_path().unwrap())
        .arg(PROGRAM)
        .args(arguments);
    let output = command.env_clear().envs(variables).envs(region()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn operations_of_java_sdk_return_what_direct_ones_do() {
    let moto = Moto::start().await.unwrap();
    let key = key("AKIAIOSFODNN7EXAMPLE", "secret");
    let expected = run(&[], direct(&moto.url(), &key)).await;
    moto.reset().await.unwrap();
    let session = SessionContext::builder().build();
    set(&session, &key);
    let proxy = proxy_to(&moto.url()).await;
    let placeholder = placeholder(&proxy, &session);
    let proxied = run(&[], placeholder.environment()).await;
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
    moto.stop().await.unwrap();
}

/// The requests that the proxy has signed, among them one for a key whose `//` the SDK sends as `/%2F`.
#[tokio::test]
async fn objects_of_java_sdk_reach_strict_peer() {
    let ministack = MiniStack::start().await.unwrap();
    let session = SessionContext::builder().build();
    set(&session, &user_key(&ministack).await);
    let proxy = proxy_to(&ministack.url()).await;
    let placeholder = placeholder(&proxy, &session);
    let proxied = run(&["objects"], placeholder.environment()).await;
    let results = proxied["results"].as_array().unwrap();
    let failures: Vec<_> =
        results.iter().filter(|result| result[1].to_string().contains("error: ")).collect();
    assert_eq!(failures, [&json!(["HeadObject of nothing", "error: NoSuchKey"]); 3], "{results:?}");
    ministack.stop().await.unwrap();
}
