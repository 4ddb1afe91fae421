//! A remote server that requires signed requests, behind the gateway over HTTP. botocore verifies the signatures.

use std::path::Path;

use serde_json::{Value, json};
use valetkey_rig::{PythonServer, program};

use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};
use crate::serve::mcp_config;

const ALICE: Option<&str> = Some("token-of-alice");
/// The key that may list, and the one that Alice sets, with their secrets and tokens.
const LISTING: [&str; 3] = ["ASIALISTING000000001", "listing-secret-canary", "listing-token-canary"];
const CALLING: [&str; 3] = ["ASIACALLING000000001", "calling-secret-canary", "calling-token-canary"];

/// A server that accepts both keys.
struct RemoteServer(PythonServer);

impl RemoteServer {
    async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mcp/tests/python/remote_server.py");
        let [listing, calling] = [LISTING, CALLING].map(|key| key.join("="));
        let arguments = ["--key", &listing, "--key", &calling];
        Self(PythonServer::start(&program("python").unwrap(), &script, arguments).await.unwrap())
    }

    /// A URL with escapes, which a signature covers.
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/runtimes/arn%3Aaws/mcp?qualifier=a%2Fb&b", self.0.port())
    }

    /// A gateway whose own environment has the key for lists.
    fn gateway(&self, list_account: &str) -> ProgramFixture {
        let url = self.url();
        let settings = format!(
            "{PRINCIPALS}
            [accounts.lister]
            provider = 'environment'
            [servers.remote]
            credentials = 'sigv4'
            service = 'bedrock-agentcore'
            region = 'eu-west-1'
            {list_account}"
        );
        ProgramFixture::new()
            .file("valetkey.toml", settings)
            .file("mcp.json", mcp_config(json!({"remote": {"type": "http", "url": url}})))
            .env("AWS_ACCESS_KEY_ID", LISTING[0])
            .env("AWS_SECRET_ACCESS_KEY", LISTING[1])
            .env("AWS_SESSION_TOKEN", LISTING[2])
    }
}

async fn start(fixture: &ProgramFixture) -> HttpGatewayFixture {
    let config = fixture.path("mcp.json");
    HttpGatewayFixture::start(fixture, &["--mcp-config", config.to_str().unwrap()]).await
}

async fn tools(gateway: &HttpGatewayFixture) -> Vec<String> {
    let reply = gateway.request(ALICE, "tools/list", json!({})).await;
    let listed: Value = serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap();
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{reply}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn remote_tools_are_listed_with_list_account_only() {
    let server = RemoteServer::start().await;
    let fixture = server.gateway("list_account = 'lister'");
    let gateway = start(&fixture).await;
    assert!(tools(&gateway).await.contains(&"remote__whoami".to_owned()));

    let (_, created) = gateway.call(ALICE, "create_credential_session", json!({})).await;
    let session = created["result"]["structuredContent"]["credential_session"].clone();
    // Calls are never signed with the account for lists.
    let (_, refused) = gateway.call(ALICE, "remote__whoami", json!({"credential_session": session})).await;
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    let [access_key_id, secret_access_key, session_token] = CALLING;
    let credentials = json!({
        "access_key_id": access_key_id,
        "secret_access_key": secret_access_key,
        "session_token": session_token,
    });
    let credentials = json!({"credential_session": session, "credentials_json": credentials.to_string()});
    let (_, set) = gateway.call(ALICE, "set_aws_credentials_context", credentials).await;
    assert_ne!(set["result"]["isError"], true, "{set}");
    let (_, called) = gateway.call(ALICE, "remote__whoami", json!({"credential_session": session})).await;
    assert_eq!(called["result"]["content"][0]["text"], CALLING[0], "{called}");
    let output = gateway.stop_with_output().await;
    assert!(!output.combined_output().contains("canary"), "{output:?}");
}

#[tokio::test]
async fn remote_tools_without_list_account_are_in_no_list() {
    let server = RemoteServer::start().await;
    let fixture = server.gateway("");
    let gateway = start(&fixture).await;
    assert!(!tools(&gateway).await.iter().any(|tool| tool.starts_with("remote__")));
    gateway.stop().await;
}

#[tokio::test]
async fn check_list_account_that_cannot_apply_is_reported() {
    let server = RemoteServer::start().await;
    for (list_account, expected) in [
        ("list_account = 'listr'", "did you mean `lister`?"),
        ("list_account = 'lister'\n[servers.local]\nlist_account = 'lister'", "applies only with"),
    ] {
        let fixture = server.gateway(list_account);
        let url = server.url();
        let servers = json!({"remote": {"type": "http", "url": url}, "local": {"command": "true"}});
        let fixture = fixture.file("mcp.json", mcp_config(servers));
        let config = fixture.path("mcp.json");
        let checked = fixture.run(&["check", "--mcp-config", config.to_str().unwrap()]).await;
        assert_eq!(checked.code, Some(78), "{}", checked.combined_output());
        assert!(checked.stderr.contains(expected), "{}", checked.stderr);
    }
}
