//! Features of both protocol eras, and of only one of them.

use serde_json::json;
use valetkey_mcp::child::Delivery;

use super::wire::{ERAS, GatewayClientFixture, ProtocolEra};
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
async fn handshake_response_names_server_tools_and_instructions() {
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
async fn list_tools_own_tools_first_in_stable_order() {
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
async fn set_credentials_tool_applies_to_server_calls() {
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
async fn result_type_is_present_for_modern_clients_only() {
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
async fn list_tools_result_has_private_cache_scope() {
    let mut wire = GatewayClientFixture::open(ProtocolEra::Modern, []).await;
    let answer = wire.request("tools/list", json!({})).await;
    assert_eq!((&answer["result"]["cacheScope"], &answer["result"]["ttlMs"]), (&json!("private"), &json!(0)));
    wire.close().await.unwrap();
}
