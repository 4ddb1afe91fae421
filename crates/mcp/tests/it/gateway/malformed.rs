//! Invalid requests: each gets its error, no input is echoed, and the connection continues.

use serde_json::{Value, json};
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture};
use crate::host_fixture::fixture_server;

async fn assert_connection_works(client: &mut GatewayClientFixture) {
    assert_eq!(client.call("clear_credential_context", json!({})).await["isError"], false);
}

#[tokio::test]
async fn unknown_tool_is_a_protocol_error() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, [("fixture", fixture_server(Delivery::None))]).await;
        for name in ["fixture__nothing", "nothing", ""] {
            let answer = client.request("tools/call", json!({"name": name, "arguments": {}})).await;
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
            assert!(answer["error"]["message"].as_str().unwrap().contains("unknown tool"), "{answer}");
        }
        assert_connection_works(&mut client).await;
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn unknown_method_is_a_protocol_error() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, []).await;
        let answer = client.request("tools/hunter2", json!({})).await;
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
        assert!(!answer.to_string().contains("hunter2"), "{answer}");
        assert_connection_works(&mut client).await;
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn malformed_parameters_error_omits_content() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, []).await;
        for params in [
            json!({"name": "get_aws_credentials_context", "arguments": "hunter2"}),
            json!({"name": "get_aws_credentials_context", "arguments": ["hunter2"]}),
            json!({"name": ["hunter2"], "arguments": {}}),
            json!({"arguments": {"x": "hunter2"}}),
        ] {
            let answer = client.request("tools/call", params.clone()).await;
            assert_eq!(answer["error"]["code"], -32602, "{params} {answer}");
            assert!(!answer.to_string().contains("hunter2"), "{answer}");
        }
        assert_connection_works(&mut client).await;
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn malformed_tool_input_is_an_error_result() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, []).await;
        for arguments in [json!({}), json!({"credentials_json": "{hunter2"}), json!({"credentials_json": 7})]
        {
            let result = client.call("set_aws_credentials_context", arguments).await;
            assert_eq!(result["isError"], true);
            let error = &result["structuredContent"]["error"];
            assert!(error["code"].is_string() && error["next_step"].is_string(), "{result}");
            assert!(!result.to_string().contains("hunter2"), "{result}");
        }
        assert_connection_works(&mut client).await;
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn lines_without_message_are_skipped() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, []).await;
        for line in ["{hunter2", "", "[]", "\"hunter2\"", "{\"jsonrpc\": \"2.0\", \"result\": {}}", "\u{0}"] {
            client.send_line(line).await;
        }
        assert_connection_works(&mut client).await;
        assert!(!client.received.contains("hunter2"));
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn missing_arguments_are_empty_arguments() {
    for era in ERAS {
        let mut client = GatewayClientFixture::open(era, [("fixture", fixture_server(Delivery::None))]).await;
        for name in ["clear_credential_context", "fixture__echo"] {
            let answer = client.request("tools/call", json!({"name": name})).await;
            assert_ne!(answer["result"]["isError"], Value::Bool(true), "{answer}");
        }
        client.close().await.unwrap();
    }
}
