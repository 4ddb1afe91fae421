//! A client that closes its input: its servers are stopped at once, even during calls and if the client does not
//! read.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use valetkey_core::SessionContext;
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra, gateway_for_session};
use crate::host::unresponsive::unresponsive_server;
use crate::host_fixture::{fixture_server, pid};
use crate::process::is_running;

#[tokio::test]
async fn gateway_client_eof_fails_call_in_progress() {
    let mut client =
        GatewayClientFixture::open(ProtocolEra::Modern, [("fixture", fixture_server(Delivery::Endpoint))])
            .await;
    client.set("AAAA").await;
    let server = pid(&client.call("fixture__whoami", json!({})).await["structuredContent"]);
    let call = client
        .send_request("tools/call", json!({"name": "fixture__slow", "arguments": {"name": "never"}}))
        .await;
    client.call("get_aws_credentials_context", json!({})).await;
    client.close_input().await;
    let answer = client.receive_response(&call).await;
    assert!(answer.to_string().contains("ended during the call"), "{answer}");
    assert!(client.session.is_closed(), "the session ends first");
    client.serving.await.unwrap().unwrap();
    assert!(!is_running(server));
}

#[tokio::test]
async fn gateway_client_not_reading_does_not_block_shutdown() {
    let session = SessionContext::builder().build();
    let ((mut client, input), (output, responses)) = (duplex(64 * 1024), duplex(1024));
    let gateway = gateway_for_session(&session, [("fixture", fixture_server(Delivery::None))]).await;
    let serving = tokio::spawn(gateway.serve(input, output, CancellationToken::new()));
    let info = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info});
    let greeting = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    client.write_all(format!("{greeting}\n").as_bytes()).await.unwrap();
    let mut responses = BufReader::new(responses).lines();
    responses.next_line().await.unwrap().unwrap();
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let params = json!({"name": "fixture__whoami", "arguments": {}});
    let whoami = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    client.write_all(format!("{ready}\n{whoami}\n").as_bytes()).await.unwrap();
    let answer: Value = serde_json::from_str(&responses.next_line().await.unwrap().unwrap()).unwrap();
    let home = answer["result"]["structuredContent"]["home"].as_str().unwrap();
    let folder = Path::new(home).parent().unwrap();
    assert!(folder.is_dir());
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    client.write_all(format!("{list}\n").as_bytes()).await.unwrap();
    // Only the first bytes of the response, which exceeds the buffer.
    assert!(!responses.get_mut().fill_buf().await.unwrap().is_empty());
    drop(client);
    timeout(Duration::from_secs(25), serving).await.expect("serving ends").unwrap().unwrap();
    assert!(session.is_closed());
    assert!(!folder.exists(), "{}", folder.display());
}

#[tokio::test]
async fn input_required_result_is_typed_for_modern_clients_only() {
    for era in ERAS {
        let mut client =
            GatewayClientFixture::open(era, [("asking", unresponsive_server("asking", Path::new("")))]).await;
        client.set("AAAA").await;
        let result = client.call("asking__tool", json!({})).await;
        if era == ProtocolEra::Modern {
            assert_eq!(result["resultType"], "input_required", "{result}");
            assert_eq!(result["inputRequests"], json!({}));
        } else {
            assert!(result.get("resultType").is_none() && result.get("inputRequests").is_none(), "{result}");
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(result["isError"] == true && text.contains("requires input"), "{result}");
        }
        client.close().await.unwrap();
    }
}
