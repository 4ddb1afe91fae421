//! The argument `aws_account` as clients see it.

use serde_json::{Value, json};
use valetkey_core::SessionContext;
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra};
use crate::host_fixture::{fixture_server, raw_server};
use crate::keys::{keys, secret_of_key};

fn argument_of(tools: &[Value], name: &str) -> Value {
    let tool = tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    tool["inputSchema"]["properties"]["aws_account"].clone()
}

#[tokio::test]
async fn list_tools_several_accounts_are_an_enum_of_names() {
    for era in ERAS {
        let session = SessionContext::builder().build();
        session.for_account(&"prod".parse().unwrap()).set_credentials(keys("PROD")).unwrap();
        let mut fixed = fixture_server(Delivery::Endpoint);
        fixed.account = Some("prod".parse().unwrap());
        let servers = [
            ("fixture", fixture_server(Delivery::Endpoint)),
            ("fixed", fixed),
            ("keyless", fixture_server(Delivery::None)),
            ("raw", raw_server("forging")),
        ];
        let mut client = GatewayClientFixture::serve(era, session, servers).await;
        let tools = client.list_tools().await;
        assert_eq!(argument_of(&tools, "fixture__echo")["enum"], json!(["default", "prod"]));
        for without in ["fixed__echo", "keyless__echo", "get_aws_credentials_context"] {
            assert_eq!(argument_of(&tools, without), Value::Null, "{without}");
        }
        assert_eq!(argument_of(&tools, "raw__tool"), json!({"type": "string"}), "the server's own");
        let whoami = client.call("fixture__whoami", json!({"aws_account": "prod"})).await;
        assert_eq!(whoami["structuredContent"]["key"], "PROD");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn second_account_set_by_client_changes_tools() {
    let servers = [("fixture", fixture_server(Delivery::Endpoint))];
    let mut client = GatewayClientFixture::open(ProtocolEra::Legacy, servers).await;
    client.set("AAAA").await;
    assert_eq!(argument_of(&client.list_tools().await, "fixture__echo"), Value::Null);
    let credentials = json!({
        "access_key_id": "ASIA000000000000PROD",
        "secret_access_key": secret_of_key("PROD"),
        "account": "prod",
    });
    client
        .send_request(
            "tools/call",
            json!({"name": "set_aws_credentials_context", "arguments": {"credentials_json": credentials}}),
        )
        .await;
    while client.receive().await.expect("the gateway goes on")["method"] != "notifications/tools/list_changed"
    {
    }
    let argument = argument_of(&client.list_tools().await, "fixture__echo");
    assert_eq!(argument["enum"], json!(["default", "prod"]));
    client.close().await.unwrap();
}
