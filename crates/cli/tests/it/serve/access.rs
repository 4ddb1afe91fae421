//! `[access]`: the floor of a session, and what a model may request beyond it.

use serde_json::json;

use super::client_fixture::{ERAS, McpClientFixture};
use crate::program_fixture::ProgramFixture;

const TOOL: &str = "request_aws_access";
const SETTINGS: &str = "
[session]
default_account = 'dev'
[accounts.dev]
provider = 'memory'
[accounts.prod]
provider = 'memory'
[scopes.looking]
accounts = ['dev']
[scopes.production]
accounts = ['prod']
lifetime_seconds = 900
[scopes.endless]
[ops]
socket = false
";

fn fixture(access: &str) -> ProgramFixture {
    ProgramFixture::new().file("valetkey.toml", format!("{SETTINGS}[access]\n{access}\n"))
}

#[tokio::test]
async fn serve_access_begins_with_floor_and_offers_tool() {
    let fixture = fixture("floor = 'looking'\nrequests = ['production']");
    for era in ERAS {
        let mut client = McpClientFixture::connect_with(&fixture, era, &["serve"]).await;
        let listed = client.call("list_aws_accounts", json!({})).await;
        assert!(listed.to_string().contains("dev") && !listed.to_string().contains("prod"), "{listed}");
        assert!(client.tools().await.contains(&TOOL.to_owned()));
        let refused = client.call(TOOL, json!({"access": "production", "reason": "to deploy"})).await;
        let error = &refused["structuredContent"]["error"];
        assert_eq!(error["code"], "not_configured", "the client has no elicitation: {refused}");
        assert_eq!(client.close().await.code, Some(0));
    }
    let scope = ["serve", "--scope", "looking"];
    let mut client = McpClientFixture::connect_with(&fixture, ERAS[0], &scope).await;
    assert!(!client.tools().await.contains(&TOOL.to_owned()), "a scope of the command line is final");
    assert_eq!(client.close().await.code, Some(0));
}

#[tokio::test]
async fn check_invalid_access_is_reported_with_its_line() {
    for (access, expected) in [
        ("floor = 'lookin'", "did you mean `looking`"),
        ("floor = 'looking'\nrequests = ['prod']", "`requests` names no scope"),
        ("floor = 'looking'\nrequests = ['endless']", "`lifetime_seconds` must be set"),
        ("requests = ['production']", "floor"),
        ("floor = 'looking'\nrequest = ['production']", "did you mean `requests`"),
    ] {
        let refused = fixture(access).run(&["check"]).await;
        assert_eq!(refused.code, Some(78), "{access}: {}", refused.combined_output());
        assert!(refused.stderr.contains(expected), "{access}: {}", refused.stderr);
        assert!(refused.stderr.contains("valetkey.toml:"), "{}", refused.stderr);
        let refused = fixture(access).run(&["serve"]).await;
        assert_eq!(refused.code, Some(78), "{access}: {}", refused.stderr);
    }
    let sound = fixture("floor = 'looking'\nrequests = ['production']").run(&["check"]).await;
    assert_eq!(sound.code, Some(0), "{}", sound.combined_output());
}

#[tokio::test]
async fn serve_http_with_access_and_store_is_refused() {
    let more = "[http]\nauth = 'none'\n[store]\nurl = 'redis://127.0.0.1:1/'\nkey_ring_env = 'RING'";
    for (access, expected) in [
        (format!("floor = 'looking'\n{more}"), "cannot be combined with `[store]`"),
        ("floor = 'lookin'\n[http]\nauth = 'none'".to_owned(), "did you mean `looking`"),
    ] {
        let refused = fixture(&access).run(&["serve", "--http", "127.0.0.1:0"]).await;
        assert_eq!(refused.code, Some(78), "{}", refused.combined_output());
        assert!(
            refused.stderr.contains("[access]") && refused.stderr.contains(expected),
            "{}",
            refused.stderr
        );
    }
}
