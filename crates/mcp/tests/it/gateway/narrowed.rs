//! A model narrows its session for a sub-agent, whose calls specify the handle.

use serde_json::{Value, json};
use valetkey_core::SessionContext;
use valetkey_mcp::child::Delivery;

use super::client_fixture::{ERAS, GatewayClientFixture, ProtocolEra};
use crate::host_fixture::{fixture_server, pid};
use crate::process::{is_running, wait_until};
use crate::role_fixture::{RoleProviderFixture, read_policy, write_policy};

async fn narrowed_gateway(era: ProtocolEra, delivery: Delivery) -> GatewayClientFixture {
    let session = SessionContext::builder().provider(RoleProviderFixture::new('x')).build();
    GatewayClientFixture::serve(era, session, [("fixture", fixture_server(delivery))]).await
}

async fn narrowed_handle(client: &mut GatewayClientFixture, input: Value) -> Value {
    let result = client.call("narrow_aws_credentials", input).await;
    assert_ne!(result["isError"], json!(true), "{result}");
    result["structuredContent"]["credential_session"].clone()
}

async fn whoami_with_handle(client: &mut GatewayClientFixture, handle: &Value) -> Value {
    let arguments = if handle.is_null() { json!({}) } else { json!({"credential_session": handle}) };
    let mut result = client.call("fixture__whoami", arguments).await;
    assert_ne!(result["isError"], json!(true), "{result}");
    result["structuredContent"].take()
}

fn access_letter(answer: &Value) -> &str {
    &answer["key"].as_str().unwrap()[..1]
}

/// Returns the error code of a refused call.
async fn refusal_code(client: &mut GatewayClientFixture, handle: &Value) -> Value {
    let arguments = if handle.is_null() { json!({}) } else { json!({"credential_session": handle}) };
    let mut result = client.call("fixture__whoami", arguments).await;
    assert_eq!(result["isError"], true, "{result}");
    result["structuredContent"]["error"]["code"].take()
}

#[tokio::test]
async fn call_with_handle_uses_narrowed_credentials() {
    for (era, delivery) in ERAS.into_iter().zip([Delivery::Endpoint, Delivery::Env]) {
        let mut client = narrowed_gateway(era, delivery).await;
        let reader = narrowed_handle(&mut client, json!({"policy": read_policy().to_string()})).await;
        let writer = narrowed_handle(&mut client, json!({"policy": write_policy().to_string()})).await;
        let mut seen = Vec::new();
        for handle in [&Value::Null, &reader, &writer, &reader, &Value::Null] {
            let answer = whoami_with_handle(&mut client, handle).await;
            seen.push((access_letter(&answer).to_owned(), pid(&answer)));
        }
        let [whole, reads, writes, again, last] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!([&*whole.0, &reads.0, &writes.0], ["A", "R", "W"]);
        assert_eq!((reads, whole), (again, last), "each has a process");

        let closed = client.call("close_credential_session", json!({"credential_session": reader})).await;
        assert_ne!(closed["isError"], json!(true), "{closed}");
        wait_until("its process is gone", || !is_running(reads.1)).await;
        assert_eq!(refusal_code(&mut client, &reader).await, "closed");
        assert_eq!(
            access_letter(&whoami_with_handle(&mut client, &writer).await),
            "W",
            "the other sub-agent goes on"
        );
        let pids = [whole.1, writes.1];
        client.close().await.unwrap();
        wait_until("all ended with the client", || pids.iter().all(|&pid| !is_running(pid))).await;
    }
}

#[tokio::test]
async fn handle_is_not_forwarded_and_invalid_one_is_refused() {
    let mut client = narrowed_gateway(ERAS[0], Delivery::Endpoint).await;
    let handle = narrowed_handle(&mut client, json!({})).await;
    let arguments = json!({"a": 1, "credential_session": handle});
    let echo = client.call("fixture__echo", arguments).await;
    assert_eq!(echo["structuredContent"]["echo"], json!({"a": 1}));
    for (wrong, code) in [
        (json!("0".repeat(32)), "closed"),
        (json!("nothing"), "invalid"),
        (json!(7), "invalid"),
        (json!({"a": "b"}), "invalid"),
    ] {
        assert_eq!(refusal_code(&mut client, &wrong).await, code, "{wrong}");
    }
    let null = client.call("fixture__whoami", json!({"credential_session": null})).await;
    assert_eq!(null["structuredContent"]["error"]["code"], "invalid", "{null}");
    client.close().await.unwrap();
}

#[tokio::test]
async fn clear_closes_narrowed_sessions() {
    let mut client = narrowed_gateway(ERAS[1], Delivery::Env).await;
    let handle = narrowed_handle(&mut client, json!({"policy": read_policy().to_string()})).await;
    let gone = pid(&whoami_with_handle(&mut client, &handle).await);
    client.call("clear_credential_context", json!({})).await;
    wait_until("the process is gone", || !is_running(gone)).await;
    assert_eq!(refusal_code(&mut client, &handle).await, "closed");
    client.close().await.unwrap();
}

#[tokio::test]
async fn list_tools_every_schema_has_session_argument() {
    let mut client = narrowed_gateway(ERAS[1], Delivery::Endpoint).await;
    for tool in client.list_tools().await {
        assert_eq!(tool["inputSchema"]["properties"]["credential_session"]["type"], "string", "{tool}");
    }
    client.close().await.unwrap();
}
