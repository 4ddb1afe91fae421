//! Features of both protocol eras, and of only one of them.

use serde_json::json;
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra};
use crate::host_fixture::fixture_server;

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
        let client = GatewayClientFixture::open(era, []).await;
        let greeting = &client.handshake_response["result"];
        assert!(greeting["capabilities"]["tools"].is_object(), "{greeting}");
        assert!(greeting["instructions"].as_str().unwrap().contains("set_aws_credentials_context"));
        assert!(greeting.to_string().contains("\"valetkey\""), "{greeting}");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn list_tools_own_tools_first_in_stable_order() {
    for era in ERAS {
        let servers = [("b", fixture_server(Delivery::Env)), ("a", fixture_server(Delivery::Endpoint))];
        let mut client = GatewayClientFixture::open(era, servers).await;
        let before = client.list_tool_names().await;
        assert_eq!(before[..OWN_TOOLS.len()], OWN_TOOLS);
        assert_eq!(before.len(), OWN_TOOLS.len() + 2 * 6);
        assert!(before[10].starts_with("a__") && before[21].starts_with("b__"), "{before:?}");
        client.set("AAAA").await;
        assert_eq!(client.list_tool_names().await, before);
        client.call("clear_credential_context", json!({})).await;
        assert_eq!(client.list_tool_names().await, before);
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn set_credentials_tool_applies_to_server_calls() {
    for era in ERAS {
        for delivery in [Delivery::Endpoint, Delivery::Env] {
            let mut client = GatewayClientFixture::open(era, [("fixture", fixture_server(delivery))]).await;
            let result = client.call("fixture__whoami", json!({})).await;
            assert_eq!(result["isError"], true);
            for name in ["AAAA", "BBBB"] {
                client.set(name).await;
                let result = client.call("fixture__whoami", json!({})).await;
                assert_eq!(result["structuredContent"]["key"], name);
            }
            client.call("clear_credential_context", json!({})).await;
            assert_eq!(client.call("fixture__whoami", json!({})).await["isError"], true);
            client.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn result_type_is_present_for_modern_clients_only() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, [("fixture", fixture_server(Delivery::None))]).await;
        for (method, params) in [
            ("tools/list", json!({})),
            ("tools/call", json!({"name": "fixture__echo", "arguments": {}})),
            ("tools/call", json!({"name": "get_aws_credentials_context", "arguments": {}})),
        ] {
            let answer = client.request(method, params).await;
            let expected = (era == ProtocolEra::Modern).then(|| json!("complete"));
            assert_eq!(answer["result"].get("resultType"), expected.as_ref(), "{era:?} {answer}");
        }
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn list_tools_result_has_private_cache_scope() {
    let mut client = GatewayClientFixture::open(ProtocolEra::Modern, []).await;
    let answer = client.request("tools/list", json!({})).await;
    assert_eq!((&answer["result"]["cacheScope"], &answer["result"]["ttlMs"]), (&json!("private"), &json!(0)));
    client.close().await.unwrap();
}
