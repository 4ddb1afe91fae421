//! Clients are notified of changed lists and of updated resources, in the way of their protocol revision.

use serde_json::{Value, json};

use super::client_fixture::{GatewayClientFixture, ProtocolEra};
use crate::host_fixture::content_server;

/// Opens a client of two servers: `one` is legacy and `two` is modern.
async fn open(era: ProtocolEra) -> GatewayClientFixture {
    let servers = [("one", content_server("legacy", "one")), ("two", content_server("modern", "two"))];
    let mut client = GatewayClientFixture::open(era, servers).await;
    client.set("AAAA").await;
    client
}

/// Reads until a notification with this method.
async fn notification(client: &mut GatewayClientFixture, method: &str) -> Value {
    loop {
        let message = client.receive().await.expect("the gateway goes on");
        if message["method"] == method {
            return message["params"].clone();
        }
    }
}

async fn send_call(client: &mut GatewayClientFixture, tool: String) {
    client.send_request("tools/call", json!({"name": tool, "arguments": {}})).await;
}

#[tokio::test]
async fn changed_lists_of_either_era_are_announced() {
    for server in ["one", "two"] {
        let mut client = open(ProtocolEra::Legacy).await;
        client.request("prompts/list", json!({})).await;
        send_call(&mut client, format!("{server}__change")).await;
        let mut announced = Vec::new();
        while announced.len() < 2 {
            let message = client.receive().await.unwrap();
            announced.extend(message["method"].as_str().map(str::to_owned));
        }
        announced.sort_unstable();
        assert_eq!(announced, ["notifications/prompts/list_changed", "notifications/resources/list_changed"]);
        let prompts = client.request("prompts/list", json!({})).await;
        assert!(prompts.to_string().contains(&format!("{server}__greet1")), "{prompts}");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn legacy_client_is_notified_of_resources_until_it_ends_it() {
    for server in ["one", "two"] {
        let mut client = open(ProtocolEra::Legacy).await;
        let watched = json!({"uri": format!("{server}:watched")});
        let subscribed = client.request("resources/subscribe", watched.clone()).await;
        assert_eq!(subscribed["result"], json!({}), "{subscribed}");
        send_call(&mut client, format!("{server}__update")).await;
        assert_eq!(notification(&mut client, "notifications/resources/updated").await["uri"], watched["uri"]);
        let unsubscribed = client.request("resources/unsubscribe", watched).await;
        assert_eq!(unsubscribed["result"], json!({}), "{unsubscribed}");
        client.received.clear();
        send_call(&mut client, format!("{server}__update")).await;
        send_call(&mut client, format!("{server}__change")).await;
        notification(&mut client, "notifications/prompts/list_changed").await;
        assert!(!client.received.contains("resources/updated"), "{}", client.received);
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn modern_client_is_notified_of_the_resources_it_names() {
    for server in ["one", "two"] {
        let mut client = open(ProtocolEra::Modern).await;
        let uris = json!([format!("{server}:watched"), "unknown:uri"]);
        let wanted = json!({"notifications": {"resourceSubscriptions": uris, "promptsListChanged": true}});
        let id = client.send_request("subscriptions/listen", wanted).await;
        notification(&mut client, "notifications/subscriptions/acknowledged").await;
        while !client.received.contains("resources/updated") {
            // The server is subscribed to after the acknowledgment.
            client.call(&format!("{server}__update"), json!({})).await;
        }
        let updated = client.received.lines().find(|line| line.contains("resources/updated")).unwrap();
        let updated: Value = serde_json::from_str(updated).unwrap();
        assert_eq!(updated["params"]["uri"], uris[0]);
        assert_eq!(updated["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id, "{updated}");
        send_call(&mut client, format!("{server}__change")).await;
        notification(&mut client, "notifications/prompts/list_changed").await;
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn subscription_to_unknown_resource_is_refused() {
    let mut client = open(ProtocolEra::Legacy).await;
    let refused = client.request("resources/subscribe", json!({"uri": "unknown:uri"})).await;
    assert_eq!(refused["error"]["code"], -32002, "{refused}");
    let malformed = client.request("resources/subscribe", json!({"uri": 7})).await;
    assert_eq!(malformed["error"]["code"], -32602, "{malformed}");
    client.close().await.unwrap();
}
