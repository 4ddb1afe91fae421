//! Clients are notified of changed tools, in the way of their protocol revision.

use serde_json::{Value, json};

use super::wire::{GatewayClientFixture, ProtocolEra};
use crate::stage::raw_server;

/// Calls the tool that makes the server change its tools, and returns the first notification of the change.
async fn trigger_tool_change(wire: &mut GatewayClientFixture) -> Value {
    wire.set("AAAA").await;
    assert!(wire.list_tool_names().await.contains(&"raw__tool".to_owned()));
    wire.send_request("tools/call", json!({"name": "raw__tool", "arguments": {}})).await;
    loop {
        let message = wire.receive().await.expect("the gateway goes on");
        if message["method"] == "notifications/tools/list_changed" {
            return message;
        }
    }
}

#[tokio::test]
async fn legacy_client_is_notified_of_changed_tools() {
    let mut wire = GatewayClientFixture::open(ProtocolEra::Legacy, [("raw", raw_server("changing"))]).await;
    assert_eq!(wire.handshake_response["result"]["capabilities"]["tools"]["listChanged"], true);
    trigger_tool_change(&mut wire).await;
    assert!(wire.list_tool_names().await.contains(&"raw__after".to_owned()));
    wire.close().await.unwrap();
}

#[tokio::test]
async fn modern_client_is_notified_of_changed_tools_if_it_subscribes() {
    let mut wire = GatewayClientFixture::open(ProtocolEra::Modern, [("raw", raw_server("changing"))]).await;
    let id =
        wire.send_request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})).await;
    let notification = trigger_tool_change(&mut wire).await;
    let subscription = &notification["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(*subscription, id, "{notification}");
    assert!(wire.list_tool_names().await.contains(&"raw__after".to_owned()));
    wire.close().await.unwrap();
}

#[tokio::test]
async fn instructions_name_accounts_and_next_step() {
    let wire = GatewayClientFixture::open(ProtocolEra::Legacy, []).await;
    let instructions = wire.handshake_response["result"]["instructions"].as_str().unwrap();
    assert!(
        instructions.contains("`default`, the default: needs `set_aws_credentials_context`"),
        "{instructions}"
    );
    wire.close().await.unwrap();
}
