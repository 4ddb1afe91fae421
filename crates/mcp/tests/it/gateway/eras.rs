//! What both eras get, and what only one does.

use serde_json::json;
use valetkey_mcp::child::Delivery;

use super::wire::{ERAS, ProtocolEra, GatewayClientFixture};
use crate::stage::fixture;

const OWN_TOOLS: [&str; 10] = [
    "set_aws_credentials_context",
    "get_aws_credentials_context",
    "extract_and_set_credentials_from_stack_job",
    "set_service_context_info",
    "get_service_context_info",
    "clear_credential_context",
    "list_aws_accounts",
    "refresh_aws_credentials",
    "narrow_aws_credentials",
    "close_credential_session",
];

#[tokio::test]
async fn the_greeting_names_the_server_its_tools_and_what_to_do_first() {
    for era in ERAS {
        let wire = GatewayClientFixture::open(era, []).await;
        let greeting = &wire.handshake_response["result"];
        assert!(greeting["capabilities"]["tools"].is_object(), "{greeting}");
        assert!(greeting["instructions"].as_str().unwrap().contains("set_aws_credentials_context"));
        assert!(greeting.to_string().contains("\"valetkey\""), "{greeting}");
        wire.close().await.unwrap();
    }
}

#[tokio::test]
async fn own_tools_come_first_then_proxied_ones_and_the_order_does_not_change() {
    for era in ERAS {
        let servers = [("b", fixture(Delivery::Env)), ("a", fixture(Delivery::Endpoint))];
        let mut wire = GatewayClientFixture::open(era, servers).await;
        let before = wire.list_tool_names().await;
        assert_eq!(before[..OWN_TOOLS.len()], OWN_TOOLS);
        assert_eq!(before.len(), OWN_TOOLS.len() + 2 * 6);
        assert!(before[10].starts_with("a__") && before[21].starts_with("b__"), "{before:?}");
        wire.set("AAAA").await;
        assert_eq!(wire.list_tool_names().await, before);
        wire.call("clear_credential_context", json!({})).await;
        assert_eq!(wire.list_tool_names().await, before);
        wire.close().await.unwrap();
    }
}

#[tokio::test]
async fn credentials_set_through_a_tool_are_those_that_servers_run_with() {
    for era in ERAS {
        for delivery in [Delivery::Endpoint, Delivery::Env] {
            let mut wire = GatewayClientFixture::open(era, [("fixture", fixture(delivery))]).await;
            let result = wire.call("fixture__whoami", json!({})).await;
            assert_eq!(result["isError"], true);
            for name in ["AAAA", "BBBB"] {
                wire.set(name).await;
                let result = wire.call("fixture__whoami", json!({})).await;
                assert_eq!(result["structuredContent"]["key"], name);
            }
            wire.call("clear_credential_context", json!({})).await;
            assert_eq!(wire.call("fixture__whoami", json!({})).await["isError"], true);
            wire.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn results_are_typed_for_modern_clients_and_plain_for_legacy_ones() {
    for era in ERAS {
        let mut wire = GatewayClientFixture::open(era, [("fixture", fixture(Delivery::None))]).await;
        for (method, params) in [
            ("tools/list", json!({})),
            ("tools/call", json!({"name": "fixture__echo", "arguments": {}})),
            ("tools/call", json!({"name": "get_aws_credentials_context", "arguments": {}})),
        ] {
            let answer = wire.request(method, params).await;
            let expected = (era == ProtocolEra::Modern).then(|| json!("complete"));
            assert_eq!(answer["result"].get("resultType"), expected.as_ref(), "{era:?} {answer}");
        }
        wire.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_list_is_private_to_the_client() {
    let mut wire = GatewayClientFixture::open(ProtocolEra::Modern, []).await;
    let answer = wire.request("tools/list", json!({})).await;
    assert_eq!((&answer["result"]["cacheScope"], &answer["result"]["ttlMs"]), (&json!("private"), &json!(0)));
    wire.close().await.unwrap();
}
