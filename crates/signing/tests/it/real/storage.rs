//! Clients for S3 other than the AWS SDKs through the proxy, before moto: what they sign and repeat, and that they accept
//! no path in an endpoint.

use serde_json::Value;
use valetkey_rig::{Script, Venv};

use super::fixture::{Variables, compare};

async fn run(variables: Variables) -> Vec<Value> {
    let script = Script::python_in(Venv::Storage, "-c").arg(include_str!("storage.py"));
    let script = script.envs(variables).envs([("STORAGE_BIN", Venv::Storage.path().join("bin"))]);
    serde_json::from_str(&script.run().await.unwrap()).unwrap()
}

#[tokio::test]
async fn clients_for_s3_get_through_proxy_what_they_get_directly() {
    let (proxied, expected) = compare(run).await;
    for (proxied, expected) in proxied.iter().zip(&expected) {
        assert_eq!(proxied, expected);
        assert!(!expected.to_string().contains("error: "), "{expected}");
    }
    assert_eq!((proxied.len(), expected.len()), (69, 69));
}
