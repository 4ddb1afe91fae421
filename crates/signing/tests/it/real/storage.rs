//! Clients for S3 other than the AWS SDKs through the proxy, before moto: what they sign and repeat, and that they accept
//! no path in an endpoint.

use serde_json::Value;
use valetkey_core::SessionContext;
use valetkey_rig::{Moto, Script, Venv};

use super::boto3::{direct, key, placeholder, proxy_to, region, set};

async fn run(variables: Vec<(String, String)>) -> Vec<Value> {
    let script = Script::python_in(Venv::Storage, "-c").arg(include_str!("storage.py"));
    let script =
        script.envs(variables).envs(region()).envs([("STORAGE_BIN", Venv::Storage.path().join("bin"))]);
    serde_json::from_str(&script.run().await.unwrap()).unwrap()
}

#[tokio::test]
async fn clients_for_s3_get_through_proxy_what_they_get_directly() {
    let moto = Moto::start().await.unwrap();
    let key = key("AKIAIOSFODNN7EXAMPLE", "secret");
    let expected = run(direct(&moto.url(), &key)).await;
    moto.reset().await.unwrap();
    let session = SessionContext::builder().build();
    set(&session, &key);
    let proxy = proxy_to(&moto.url()).await;
    let proxied = run(placeholder(&proxy, &session).environment()).await;
    for (proxied, expected) in proxied.iter().zip(&expected) {
        assert_eq!(proxied, expected);
        assert!(!expected.to_string().contains("error: "), "{expected}");
    }
    assert_eq!((proxied.len(), expected.len()), (69, 69));
    moto.stop().await.unwrap();
}
