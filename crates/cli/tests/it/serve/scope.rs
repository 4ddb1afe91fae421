//! `serve --scope`: the client gets a session with less authority, without the model.

use serde_json::{Value, json};

use super::client_fixture::{ERAS, McpClientFixture};
use crate::program_fixture::ProgramFixture;

const SETTINGS: &str = "
[session]
default_account = 'dev'
[accounts.dev]
provider = 'memory'
[accounts.prod]
provider = 'memory'
[policies.reading]
read_only = ['s3']
[scopes.reviewer]
accounts = ['dev']
lifetime_seconds = 900
[scopes.everything]
";

async fn accounts(client: &mut McpClientFixture) -> Vec<Value> {
    let listed = client.call("list_aws_accounts", json!({})).await;
    let accounts = listed["structuredContent"]["accounts"].as_array().unwrap_or_else(|| panic!("{listed}"));
    accounts.iter().map(|account| account["account"].clone()).collect()
}

#[tokio::test]
async fn serve_scope_limits_session_of_client() {
    let fixture = ProgramFixture::new().file("settings.toml", SETTINGS);
    for era in ERAS {
        let args = ["serve", "--config", "settings.toml", "--scope", "reviewer"];
        let mut client = McpClientFixture::connect_with(&fixture, era, &args).await;
        assert_eq!(accounts(&mut client).await, ["dev"]);
        let keys =
            json!({"access_key_id": "AKIA_TEST", "secret_access_key": "secret_test", "account": "prod"});
        let refused = client.call("set_aws_credentials_context", json!({"credentials_json": keys})).await;
        assert_eq!(refused["isError"], true, "it accepts no other credentials: {refused}");
        assert_eq!(client.close().await.code, Some(0));
    }
    let args = ["serve", "--config", "settings.toml", "--scope", "everything"];
    let mut client = McpClientFixture::connect_with(&fixture, ERAS[0], &args).await;
    assert_eq!(accounts(&mut client).await, ["dev", "prod"]);
    assert_eq!(client.close().await.code, Some(0));
}

#[tokio::test]
async fn serve_unknown_scope_is_usage_error() {
    let fixture = ProgramFixture::new().file("settings.toml", SETTINGS);
    let refused = fixture.run(&["serve", "--config", "settings.toml", "--scope", "reviewers"]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("everything, reviewer"), "{}", refused.stderr);
    let refused = fixture.run(&["serve", "--http", "127.0.0.1:0", "--scope", "reviewer"]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[tokio::test]
async fn check_invalid_scope_is_reported_with_its_line() {
    for (scope, says) in [
        ("accounts = ['staging']", "is not one of the accounts"),
        ("policy = 'writing'", "name one of: reading"),
        ("lifetime = 900", "did you mean `lifetime_seconds`"),
        ("lifetime_seconds = 0", "lifetime"),
    ] {
        let settings = format!("{SETTINGS}[scopes.wrong]\n{scope}\n");
        let fixture = ProgramFixture::new().file("settings.toml", settings);
        let refused = fixture.run(&["check", "--config", "settings.toml"]).await;
        assert_eq!(refused.code, Some(78), "{scope}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(says) && refused.stderr.contains("settings.toml:"),
            "{}",
            refused.stderr
        );
    }
    let sound = ProgramFixture::new().file("settings.toml", SETTINGS);
    assert_eq!(sound.run(&["check", "--config", "settings.toml"]).await.code, Some(0));
}
