//! The argument `aws_account` over HTTP: the catalog is shared, and each principal is shown only their own accounts.

use serde_json::{Value, json};

use super::client_fixture::HttpClientFixture;
use super::fixture::{ALICE, BOB, HttpGatewayFixture};
use crate::keys::secret_of_key;

async fn listed_accounts(client: &mut HttpClientFixture) -> Value {
    let reply = client.request("tools/list", json!({})).await.json();
    let tools = reply["result"]["tools"].as_array().unwrap_or_else(|| panic!("{reply}"));
    let tool = tools.iter().find(|tool| tool["name"] == "fixture__whoami").unwrap();
    tool["inputSchema"]["properties"]["aws_account"]["enum"].clone()
}

async fn set_prod(client: &mut HttpClientFixture) {
    let credentials = json!({
        "access_key_id": "ASIA000000000000PROD",
        "secret_access_key": secret_of_key("PROD"),
        "account": "prod",
    });
    client.call_ok("set_aws_credentials_context", json!({"credentials_json": credentials})).await;
}

#[tokio::test]
async fn list_tools_accounts_are_those_of_the_principal() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut alice = gateway.modern(ALICE);
    assert_eq!(listed_accounts(&mut alice).await, json!(["blue", "green"]), "before a session is open");
    assert_eq!(listed_accounts(&mut gateway.modern(BOB)).await, Value::Null, "one account needs no choice");
    gateway.stop().await;
}

#[tokio::test]
async fn list_tools_accounts_are_those_of_the_selected_session() {
    let gateway = HttpGatewayFixture::with_server().await;
    let (mut bob, mut legacy) = (gateway.modern(BOB), gateway.legacy(BOB).await);
    bob.handle = Some(bob.create_session().await);
    set_prod(&mut bob).await;
    set_prod(&mut legacy).await;
    for client in [&mut bob, &mut legacy] {
        assert_eq!(listed_accounts(client).await, json!(["default", "prod"]));
        let answer = client.call_ok("fixture__whoami", json!({"aws_account": "prod"})).await;
        assert_eq!(answer["key"], "PROD");
    }
    let mut alice = gateway.modern(ALICE);
    alice.handle.clone_from(&bob.handle);
    assert_eq!(listed_accounts(&mut alice).await, json!(["blue", "green"]), "the handle is not hers");
    gateway.stop().await;
}
