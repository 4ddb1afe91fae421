//! Keys that no server receives but that a server finds: the gateway's own, those of hidden sources, and those behind
//! key exchanges.

use serde_json::json;
use valetkey_core::testing::Canary;

use super::client_fixture::{McpClientFixture, ProtocolEra};
use super::mcp_config;
use crate::aws_fixture::AwsFixture;
use crate::program_fixture::ProgramFixture;

const SETTINGS: &str = "\
[session]\ndefault_account = 'role'\nallowed_accounts = ['role', 'guarded']\n\
[accounts.role]\nprovider = 'assume-role'\nsource = 'hidden'\nrole_arn = 'arn:aws:iam::111111111111:role/agent'\n\
[accounts.hidden]\nprovider = 'process'\ncommand = 'cat hidden.json'\n\
[accounts.guarded]\nprovider = 'process'\ncommand = 'cat guarded.json'\nexchange = true\n\
[servers.shows]\ncredentials = 'none'\n";

/// Returns long-lived keys, as a `credential_process` program prints them.
fn process_output(canary: &Canary) -> String {
    json!({"Version": 1, "AccessKeyId": "AKIACANARY0000000001", "SecretAccessKey": canary.expose_secret()})
        .to_string()
}

#[tokio::test]
async fn serve_server_prints_source_keys_masks_all() {
    let aws = AwsFixture::start().await;
    let canaries: [Canary; 3] = std::array::from_fn(|_| Canary::new());
    let [environment, hidden, guarded] = &canaries;
    let all: String = canaries.iter().map(|canary| format!(" k={}", canary.expose_secret())).collect();
    let fixture = ProgramFixture::new().file("shown", &all).file("valetkey.toml", SETTINGS);
    let show = format!("cat '{}' >&2; exit 3", fixture.path("shown").display());
    let shows = json!({"command": "sh", "args": ["-c", show]});
    let fixture = fixture
        .file("mcp.json", mcp_config(json!({"shows": shows})))
        .file("hidden.json", process_output(hidden))
        .file("guarded.json", process_output(guarded))
        .env("AWS_ENDPOINT_URL", aws.url())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIACANARY0000000002")
        .env("AWS_SECRET_ACCESS_KEY", environment.expose_secret());
    let mut client = McpClientFixture::connect(&fixture, ProtocolEra::Modern).await;
    for account in ["role", "guarded"] {
        let refreshed = client.call("refresh_aws_credentials", json!({"account": account})).await;
        assert_ne!(refreshed["isError"], true, "{account}: {refreshed}");
    }
    let output = client.call("shows__tool", json!({})).await.to_string();
    assert!(output.contains("k=[redacted] k=[redacted] k=[redacted]"), "{output}");
    let output = client.close().await;
    for (n, canary) in canaries.iter().enumerate() {
        assert_eq!(canary.found_in(&all), ["secret"]);
        assert_eq!(canary.found_in(&output.combined_output()), [""; 0], "{n}: {}", output.combined_output());
    }
}
