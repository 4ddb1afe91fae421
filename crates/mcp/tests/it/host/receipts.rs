//! The receipt in the `_meta` of each result.

use serde_json::{Value, json};
use valetkey_core::{Credentials, SessionContext};
use valetkey_mcp::child::Delivery;

use crate::host_fixture::{HostFixture, fixture_server, host_environment, mcp_config, raw_server};
use crate::keys::{keys, secret_of_key, token_of_key};

fn receipt(result: &Value) -> Value {
    result["_meta"]["valetkey/receipt"].clone()
}

#[tokio::test]
async fn receipt_names_account_version_and_expiry() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let fixture = HostFixture::with_credentials("AAAA", delivery).await;
        let first = receipt(&fixture.call_raw("fixture__whoami", json!({})).await);
        assert_eq!(first["account"], "default");
        assert_eq!(first["account_id"], Value::Null);
        let expected = fixture.session.status().accounts.remove(0);
        assert_eq!(first["expires_at"], json!(expected.expires_at));
        assert_eq!(first["generation"], json!(expected.generation));
        let secret = secret_of_key("BBBB");
        let credentials = Credentials::builder("ASIA000000000000BBBB".parse().unwrap(), secret.into());
        let credentials = credentials.account_id(Some("111122223333".parse().unwrap())).build().unwrap();
        fixture.session.set_credentials(credentials).unwrap();
        let second = receipt(&fixture.call_raw("fixture__whoami", json!({})).await);
        assert_eq!(second["account_id"], "111122223333");
        assert_eq!(second["expires_at"], Value::Null, "long-lived");
        assert!(second["generation"].as_u64() > first["generation"].as_u64(), "{first} {second}");
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn receipt_of_selected_account_names_it() {
    let session = SessionContext::builder().build();
    session.set_credentials(keys("AAAA")).unwrap();
    session.for_account(&"prod".parse().unwrap()).set_credentials(keys("PROD")).unwrap();
    let servers = mcp_config([("fixture", fixture_server(Delivery::Endpoint))]);
    let host = valetkey_mcp::McpHost::builder(&session, servers).environment(host_environment());
    let host = host.start().await.unwrap();
    let fixture = HostFixture { host, session, audit: std::sync::Arc::default() };
    let result = fixture.call_raw("fixture__whoami", json!({"aws_account": "prod"})).await;
    assert_eq!(
        (&result["structuredContent"]["key"], &receipt(&result)["account"]),
        (&json!("PROD"), &json!("prod"))
    );
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn receipt_keeps_meta_of_server_and_replaces_forged_one() {
    let mut keyless = raw_server("forging");
    keyless.delivery = Delivery::None;
    let servers = [("raw", raw_server("forging")), ("keyless", keyless)];
    let fixture = HostFixture::without_credentials(servers).await;
    fixture.set("AAAA");
    let meta = fixture.call_raw("raw__tool", json!({})).await["_meta"].take();
    assert_eq!(
        (&meta["vendor/result"], &meta["valetkey/receipt"]["account"]),
        (&json!(1), &json!("default"))
    );
    let meta = fixture.call_raw("keyless__tool", json!({})).await["_meta"].take();
    assert_eq!(meta, json!({"vendor/result": 1}), "a server without credentials has no receipt");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn receipt_has_no_secret_and_no_other_field() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let receipt = receipt(&fixture.call_raw("fixture__whoami", json!({})).await);
    let fields: Vec<_> = receipt.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["account", "account_id", "generation", "expires_at"]);
    let text = receipt.to_string();
    for hidden in [secret_of_key("AAAA"), token_of_key("AAAA"), "ASIA".to_owned()] {
        assert!(!text.contains(&hidden), "{text}");
    }
    fixture.session.clear();
    let refused = fixture.call_raw("fixture__whoami", json!({})).await;
    assert!(refused.get("_meta").is_none(), "nothing ran: {refused}");
    fixture.host.shutdown().await;
}
