//! Clients are notified of changed tools, in the way of their protocol revision.

use serde_json::{Value, json};

use super::client_fixture::{GatewayClientFixture, ProtocolEra};
use crate::host_fixture::raw_server;

/// Calls the tool that makes the server change its tools, and returns the first notification of the change.
async fn trigger_tool_change(client: &mut GatewayClientFixture) -> Value {
    client.set("AAAA").await;
    assert!(client.list_tool_names().await.contains(&"raw__tool".to_owned()));
    client.send_request("tools/call", json!({"name": "raw__tool", "arguments": {}})).await;
    loop {
        let message = client.receive().await.expect("the gateway goes on");
        if message["method"] == "notifications/tools/list_changed" {
            return message;
        }
    }
}

#[tokio::test]
async fn legacy_client_is_notified_of_changed_tools() {
    let mut client = GatewayClientFixture::open(ProtocolEra::Legacy, [("raw", raw_server("changing"))]).await;
    assert_eq!(client.handshake_response["result"]["capabilities"]["tools"]["listChanged"], true);
    trigger_tool_change(&mut client).await;
    assert!(client.list_tool_names().await.contains(&"raw__after".to_owned()));
    client.close().await.unwrap();
}

#[tokio::test]
async fn modern_client_with_subscription_is_notified_of_tools() {
    let mut client = GatewayClientFixture::open(ProtocolEra::Modern, [("raw", raw_server("changing"))]).await;
    let id = client
        .send_request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))
        .await;
    let notification = trigger_tool_change(&mut client).await;
    let subscription = &notification["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(*subscription, id, "{notification}");
    assert!(client.list_tool_names().await.contains(&"raw__after".to_owned()));
    client.close().await.unwrap();
}

#[tokio::test]
async fn instructions_name_accounts_and_next_step() {
    let client = GatewayClientFixture::open(ProtocolEra::Legacy, []).await;
    let instructions = client.handshake_response["result"]["instructions"].as_str().unwrap();
    assert!(
        instructions.contains("`default`, the default: needs `set_aws_credentials_context`"),
        "{instructions}"
    );
    client.close().await.unwrap();
}
