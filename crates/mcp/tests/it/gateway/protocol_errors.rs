//! A protocol error of a server reaches the client as one, with its code and its data, masked.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture};
use crate::host_fixture::scripted_server;
use crate::keys::{assert_no_secret_part, secret_of_key};

/// Returns the error with which the server responds to a call.
async fn call_with_error(client: &mut GatewayClientFixture, error: Value) -> Value {
    let arguments = json!({"steps": [{"error": error}]});
    let mut response =
        client.request("tools/call", json!({"name": "scripted__run", "arguments": arguments})).await;
    response["error"].take()
}

#[tokio::test]
async fn tool_call_error_keeps_code_and_data_masked() {
    for era in ERAS {
        let server = scripted_server("both", Delivery::Env);
        let mut client = GatewayClientFixture::open(era, [("scripted", server)]).await;
        client.set("AAAA").await;
        for code in [-32021, -32042, -32602, -32603, -1, 7] {
            let data = json!({"requiredCapabilities": {"sampling": {}}, "n": [1.50], "key": "SECRET"});
            let error = json!({"code": code, "message": "refused with SECRET", "data": data});
            let received = call_with_error(&mut client, error).await;
            let data = json!({"requiredCapabilities": {"sampling": {}}, "n": [1.50], "key": "[redacted]"});
            let expected = json!({"code": code, "message": "refused with [redacted]", "data": data});
            assert_eq!(received, expected, "{era:?}");
        }
        assert_no_secret_part(&client.received, &secret_of_key("AAAA"));
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn tool_call_error_of_server_connection_is_internal() {
    for era in ERAS {
        let server = scripted_server("both", Delivery::None);
        let mut client = GatewayClientFixture::open(era, [("scripted", server)]).await;
        for code in [-32020, -32022] {
            let error = json!({"code": code, "message": "m", "data": {"supported": ["1999-01-01"]}});
            let received = call_with_error(&mut client, error).await;
            assert_eq!(received, json!({"code": -32603, "message": "m"}), "{era:?}");
        }
        client.close().await.unwrap();
    }
}
