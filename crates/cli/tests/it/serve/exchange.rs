//! `exchange`: credentials that a model sets are exchanged too, and no server ever gets the keys themselves.

use serde_json::{Value, json};

use super::client_fixture::{McpClientFixture, ProtocolEra};
use super::{demo_server_entry, mcp_config};
use crate::aws_fixture::AwsFixture;
use crate::program_fixture::ProgramFixture;

const SETTINGS: &str = "[accounts.given]\nprovider = 'memory'\nexchange = true\n\
                        [servers.keys]\ncredentials = 'env'\n";

fn keys_json(id: &str) -> Value {
    json!({"access_key_id": id, "secret_access_key": "canary-long-lived", "region": "us-east-1"})
}

#[tokio::test]
async fn serve_exchanged_keys_follow_set_rotate_and_clear() {
    let aws = AwsFixture::start().await;
    let server = demo_server_entry(aws.url());
    let fixture = ProgramFixture::new()
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_REGION", "us-east-1")
        .file("mcp.json", mcp_config(json!({"aws": server, "keys": server})))
        .file("valetkey.toml", SETTINGS);
    let mut client = McpClientFixture::connect(&fixture, ProtocolEra::Modern).await;
    let tools = ["aws__get_caller_identity", "keys__get_caller_identity"];
    for tool in tools {
        assert_eq!(client.call(tool, json!({})).await["isError"], true, "nothing is set");
    }
    let given = ["AKIAGIVEN0000000ONE1", "AKIAGIVEN0000000TWO2"];
    for key in given {
        client.set_credentials(keys_json(key)).await;
        for tool in tools {
            let called = client.call(tool, json!({})).await;
            assert_ne!(called["isError"], true, "{called}");
        }
    }
    client.call("refresh_aws_credentials", json!({})).await;
    client.call("clear_credential_context", json!({})).await;
    assert_eq!(client.call(tools[0], json!({})).await["isError"], true, "cleared");
    client.set_credentials(keys_json(given[0])).await;
    assert_ne!(client.call(tools[0], json!({})).await["isError"], true, "set again");

    let (exchanges, acts): (Vec<_>, Vec<_>) =
        aws.sts_calls().into_iter().partition(|(action, _)| action == "GetSessionToken");
    let signers: Vec<&str> = exchanges.iter().map(|(_, key)| key.as_str()).collect();
    assert_eq!(signers, [given[0], given[1], given[1], given[0]], "once for each `set`, and for a refresh");
    assert_eq!(acts.len(), 5);
    assert!(acts.iter().all(|(_, key)| key.starts_with("ASIA")), "{acts:?}");
    let astray = json!({"credentials_json": keys_json(given[0]), "account": "another"});
    let refused = client.call("set_aws_credentials_context", astray).await;
    assert_eq!(refused["isError"], true, "an account without a key exchange: {refused}");
    let output = client.close().await;
    assert!(!output.combined_output().contains("canary-long-lived"), "{}", output.combined_output());
}

#[tokio::test]
async fn serve_keys_set_on_role_with_exchange_are_exchanged() {
    let aws = AwsFixture::start().await;
    let settings = "[accounts.keys]\nprovider = 'environment'\n[accounts.default]\nprovider = 'assume-role'\n\
                    source = 'keys'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\nexchange = true\n";
    let fixture = ProgramFixture::new()
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAHOST00000000HOST")
        .env("AWS_SECRET_ACCESS_KEY", "canary-host")
        .file("mcp.json", mcp_config(json!({"aws": demo_server_entry(aws.url())})))
        .file("valetkey.toml", settings);
    let mut client = McpClientFixture::connect(&fixture, ProtocolEra::Modern).await;
    client.call("aws__get_caller_identity", json!({})).await;
    client.set_credentials(keys_json("AKIAGIVEN0000000ONE1")).await;
    client.call("aws__get_caller_identity", json!({})).await;
    let calls = aws.sts_calls();
    let asked: Vec<_> = calls.iter().map(|(action, key)| (action.as_str(), &key[..8])).collect();
    let is_temporary = ("GetCallerIdentity", "ASIA");
    assert_eq!([asked[0], asked[2]], [("AssumeRole", "AKIAHOST"), ("GetSessionToken", "AKIAGIVE")]);
    for acts in [asked[1], asked[3]] {
        assert_eq!((acts.0, &acts.1[..4]), is_temporary);
    }
    client.close().await;
}
