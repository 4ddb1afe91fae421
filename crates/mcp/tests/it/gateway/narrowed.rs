//! A model narrows its session for a sub-agent, whose calls name the handle.

use serde_json::{Value, json};
use valetkey_core::SessionContext;
use valetkey_mcp::child::Delivery;

use super::wire::{ERAS, Era, Wire};
use crate::process::{runs, until};
use crate::role::{Role, reading, writing};
use crate::stage::{fixture, pid};

async fn wire(era: Era, delivery: Delivery) -> Wire {
    let session = SessionContext::builder().provider(Role::new('x')).build();
    Wire::serve(era, session, [("fixture", fixture(delivery))]).await
}

async fn narrow(wire: &mut Wire, input: Value) -> Value {
    let result = wire.call("narrow_aws_credentials", input).await;
    assert_ne!(result["isError"], json!(true), "{result}");
    result["structuredContent"]["credential_session"].clone()
}

async fn whoami(wire: &mut Wire, handle: &Value) -> Value {
    let arguments = if handle.is_null() { json!({}) } else { json!({"credential_session": handle}) };
    let mut result = wire.call("fixture__whoami", arguments).await;
    assert_ne!(result["isError"], json!(true), "{result}");
    result["structuredContent"].take()
}

fn may(answer: &Value) -> &str {
    &answer["key"].as_str().unwrap()[..1]
}

/// The code of a refusal.
async fn refused(wire: &mut Wire, handle: &Value) -> Value {
    let arguments = if handle.is_null() { json!({}) } else { json!({"credential_session": handle}) };
    let mut result = wire.call("fixture__whoami", arguments).await;
    assert_eq!(result["isError"], true, "{result}");
    result["structuredContent"]["error"]["code"].take()
}

#[tokio::test]
async fn calls_with_a_handle_run_with_its_credentials_and_others_with_the_sessions() {
    for (era, delivery) in ERAS.into_iter().zip([Delivery::Endpoint, Delivery::Env]) {
        let mut wire = wire(era, delivery).await;
        let reader = narrow(&mut wire, json!({"policy": reading().to_string()})).await;
        let writer = narrow(&mut wire, json!({"policy": writing().to_string()})).await;
        let mut seen = Vec::new();
        for handle in [&Value::Null, &reader, &writer, &reader, &Value::Null] {
            let answer = whoami(&mut wire, handle).await;
            seen.push((may(&answer).to_owned(), pid(&answer)));
        }
        let [whole, reads, writes, again, last] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!([&*whole.0, &reads.0, &writes.0], ["A", "R", "W"]);
        assert_eq!((reads, whole), (again, last), "each has a process");

        let closed = wire.call("close_credential_session", json!({"credential_session": reader})).await;
        assert_ne!(closed["isError"], json!(true), "{closed}");
        until("its process is gone", || !runs(reads.1)).await;
        assert_eq!(refused(&mut wire, &reader).await, "closed");
        assert_eq!(may(&whoami(&mut wire, &writer).await), "W", "the other sub-agent goes on");
        let pids = [whole.1, writes.1];
        wire.close().await.unwrap();
        until("all ended with the client", || pids.iter().all(|&pid| !runs(pid))).await;
    }
}

#[tokio::test]
async fn the_handle_is_not_passed_on_and_what_is_none_is_refused() {
    let mut wire = wire(ERAS[0], Delivery::Endpoint).await;
    let handle = narrow(&mut wire, json!({})).await;
    let arguments = json!({"a": 1, "credential_session": handle});
    let echo = wire.call("fixture__echo", arguments).await;
    assert_eq!(echo["structuredContent"]["echo"], json!({"a": 1}));
    for (wrong, code) in [
        (json!("0".repeat(32)), "closed"),
        (json!("nothing"), "invalid"),
        (json!(7), "invalid"),
        (json!({"a": "b"}), "invalid"),
    ] {
        assert_eq!(refused(&mut wire, &wrong).await, code, "{wrong}");
    }
    let null = wire.call("fixture__whoami", json!({"credential_session": null})).await;
    assert_eq!(null["structuredContent"]["error"]["code"], "invalid", "{null}");
    wire.close().await.unwrap();
}

#[tokio::test]
async fn a_clear_ends_the_sub_agents_too() {
    let mut wire = wire(ERAS[1], Delivery::Env).await;
    let handle = narrow(&mut wire, json!({"policy": reading().to_string()})).await;
    let gone = pid(&whoami(&mut wire, &handle).await);
    wire.call("clear_credential_context", json!({})).await;
    until("the process is gone", || !runs(gone)).await;
    assert_eq!(refused(&mut wire, &handle).await, "closed");
    wire.close().await.unwrap();
}

#[tokio::test]
async fn every_tool_is_listed_with_the_argument() {
    let mut wire = wire(ERAS[1], Delivery::Endpoint).await;
    for tool in wire.tools().await {
        assert_eq!(tool["inputSchema"]["properties"]["credential_session"]["type"], "string", "{tool}");
    }
    wire.close().await.unwrap();
}
