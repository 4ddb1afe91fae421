//! A server that exits during a call: its last output is reported, it is restarted, and after repeated exits it is
//! paused.

use serde_json::json;
use valetkey_mcp::child::Delivery;

use crate::keys::{assert_masks_are_whole, assert_no_secret_part, secret_of_key, token_of_key};
use crate::stage::{Stage, fixture};

#[tokio::test]
async fn crash_reports_masked_stderr_and_next_call_works() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let stage = Stage::holding("AAAA", delivery).await;
        let (_, before) = stage.key_and_pid().await;
        let told = stage.call_error("fixture__crash").await;
        assert!(told.contains("ended during the call"), "{told}");
        assert!(told.contains("the fixture crashes, holding [redacted]"), "{told}");
        assert_masks_are_whole(&told);
        assert_no_secret_part(&told, &secret_of_key("AAAA"));
        let (key, after) = stage.key_and_pid().await;
        assert_eq!((key.as_str(), after == before), ("AAAA", false));
        stage.host.shutdown().await;
    }
}

#[tokio::test]
async fn crash_does_not_affect_other_servers() {
    let servers = [("fixture", fixture(Delivery::Endpoint)), ("other", fixture(Delivery::Endpoint))];
    let stage = Stage::without_credentials(servers).await;
    stage.set("AAAA");
    let before = stage.call("other__whoami", json!({})).await["pid"].clone();
    stage.call_error("fixture__crash").await;
    assert_eq!(stage.call("other__whoami", json!({})).await["pid"], before);
    stage.host.shutdown().await;
}

#[tokio::test]
async fn crash_repeated_backs_off() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    let mut told = Vec::new();
    for _ in 0..8 {
        told.push(stage.call_error("fixture__crash").await);
    }
    assert!(told[0].contains("ended during the call"), "{told:?}");
    assert!(told[1].contains("ended during the call"), "the first crash costs no pause: {told:?}");
    assert!(told[7].contains("keeps failing"), "{told:?}");
    stage.host.shutdown().await;
}

#[tokio::test]
async fn crash_after_successful_call_resets_backoff() {
    let stage = Stage::holding("AAAA", Delivery::Endpoint).await;
    for _ in 0..6 {
        assert!(stage.call_error("fixture__crash").await.contains("ended during the call"));
        assert_eq!(stage.key_and_pid().await.0, "AAAA");
    }
    stage.host.shutdown().await;
}

#[tokio::test]
async fn result_with_secrets_is_masked_for_each_delivery() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let stage = Stage::holding("AAAA", delivery).await;
        let result = stage.call_raw("fixture__leak", json!({})).await;
        assert_eq!(result["structuredContent"]["secret"], "[redacted]");
        assert_eq!(result["structuredContent"]["text"], "token=[redacted];");
        let told = result.to_string();
        assert_no_secret_part(&told, &secret_of_key("AAAA"));
        assert_no_secret_part(&told, &token_of_key("AAAA"));
        assert_masks_are_whole(&told);
        stage.host.shutdown().await;
    }
}
