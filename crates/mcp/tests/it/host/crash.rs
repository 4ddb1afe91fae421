//! A server that exits during a call: its last output is reported, it is restarted, and after repeated exits it is
//! paused.

use serde_json::json;
use valetkey_mcp::child::Delivery;

use crate::host_fixture::{HostFixture, fixture_server};
use crate::keys::{assert_masks_are_whole, assert_no_secret_part, secret_of_key, token_of_key};

#[tokio::test]
async fn crash_reports_masked_stderr_and_next_call_works() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let fixture = HostFixture::with_credentials("AAAA", delivery).await;
        let (_, before) = fixture.key_and_pid().await;
        let message = fixture.call_error("fixture__crash").await;
        assert!(message.contains("ended during the call"), "{message}");
        assert!(message.contains("the fixture crashes, holding [redacted]"), "{message}");
        assert_masks_are_whole(&message);
        assert_no_secret_part(&message, &secret_of_key("AAAA"));
        let (key, after) = fixture.key_and_pid().await;
        assert_eq!((key.as_str(), after == before), ("AAAA", false));
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn crash_does_not_affect_other_servers() {
    let servers =
        [("fixture", fixture_server(Delivery::Endpoint)), ("other", fixture_server(Delivery::Endpoint))];
    let fixture = HostFixture::without_credentials(servers).await;
    fixture.set("AAAA");
    let before = fixture.call("other__whoami", json!({})).await["pid"].clone();
    fixture.call_error("fixture__crash").await;
    assert_eq!(fixture.call("other__whoami", json!({})).await["pid"], before);
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn crash_repeated_backs_off() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    let mut messages = Vec::new();
    for _ in 0..8 {
        messages.push(fixture.call_error("fixture__crash").await);
    }
    assert!(messages[0].contains("ended during the call"), "{messages:?}");
    assert!(messages[1].contains("ended during the call"), "the first crash costs no pause: {messages:?}");
    assert!(messages[7].contains("keeps failing"), "{messages:?}");
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn crash_after_successful_call_resets_backoff() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    for _ in 0..6 {
        assert!(fixture.call_error("fixture__crash").await.contains("ended during the call"));
        assert_eq!(fixture.key_and_pid().await.0, "AAAA");
    }
    fixture.host.shutdown().await;
}

#[tokio::test]
async fn result_with_secrets_is_masked_for_each_delivery() {
    for delivery in [Delivery::Endpoint, Delivery::Env] {
        let fixture = HostFixture::with_credentials("AAAA", delivery).await;
        let result = fixture.call_raw("fixture__leak", json!({})).await;
        assert_eq!(result["structuredContent"]["secret"], "[redacted]");
        assert_eq!(result["structuredContent"]["text"], "token=[redacted];");
        let message = result.to_string();
        assert_no_secret_part(&message, &secret_of_key("AAAA"));
        assert_no_secret_part(&message, &token_of_key("AAAA"));
        assert_masks_are_whole(&message);
        fixture.host.shutdown().await;
    }
}

#[tokio::test]
async fn crash_after_a_replaced_process_worked_does_not_back_off() {
    let fixture = HostFixture::with_credentials("AAAA", Delivery::Endpoint).await;
    for key in ["BBBB", "CCCC", "DDDD"] {
        fixture.call_error("fixture__crash").await;
        fixture.whoami().await;
        // The process that has worked is replaced, and the next one crashes at its first call.
        fixture.set(key);
    }
    assert_eq!(fixture.key_and_pid().await.0, "DDDD");
    fixture.host.shutdown().await;
}
