//! Remote servers: FastMCP and the official SDK over streamable HTTP, with signatures that botocore verifies.

use std::path::PathBuf;

use serde_json::json;
use valetkey_core::testing::Canary;
use valetkey_core::{Credentials, ErrorKind, Expiry};
use valetkey_mcp::McpConfig;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::{ServerConfig, VarLookup};
use valetkey_rig::{PythonServer, Result, Venv, program};

use super::python_script;
use crate::canary::captured_logs;
use crate::host_fixture::HostFixture;
use crate::keys::keys;

const TOKEN: &str = "t0k-3n-of-this-test";

/// A remote server.
struct RemoteFixture(PythonServer);

impl RemoteFixture {
    async fn start(python: PathBuf, script: &str, arguments: &[&str]) -> Self {
        Self(PythonServer::start(&python, &python_script(script), arguments).await.unwrap())
    }

    async fn fastmcp(arguments: &[&str]) -> Result<Self> {
        Ok(Self::start(program("python")?, "remote_server.py", arguments).await)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.0.port())
    }
}

/// Returns a server whose header refers to a variable.
fn server_with_token(url: &str, token: &str) -> ServerConfig {
    let entry =
        json!({"remote": {"type": "http", "url": url, "headers": {"Authorization": "Bearer ${TOKEN}"}}});
    let token = token.to_owned();
    let variables = VarLookup::new(move |name| (name == "TOKEN").then(|| token.clone()));
    let config = McpConfig::parse(&entry.to_string(), &variables).unwrap();
    assert!(config.warnings.is_empty() && config.errors.is_empty(), "{config:?}");
    config.servers["remote"].clone()
}

async fn echo(fixture: &HostFixture, text: &str) -> String {
    let result = fixture.call_raw("remote__echo", json!({"text": text})).await;
    result["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn remote_server_of_each_kind_is_listed_and_called() -> Result<()> {
    for mode in [&[][..], &["--json"], &["--stateless"], &["--stateless", "--json"]] {
        let server = RemoteFixture::fastmcp(&[&["--token", TOKEN], mode].concat()).await?;
        let config = server_with_token(&server.url(), TOKEN);
        let fixture = HostFixture::without_credentials([("remote", config)]).await;
        let catalog = fixture.catalog().await;
        assert_eq!(catalog.tools.len(), 3, "{mode:?}: {:?}", catalog.errors);
        let texts: Vec<String> = (0..20).map(|n| format!("größe {n}\u{2028}")).collect();
        let calls = texts.iter().map(|text| echo(&fixture, text));
        assert_eq!(futures_util::future::join_all(calls).await, texts, "{mode:?}");
        let masked = echo(&fixture, &format!("Bearer {TOKEN}")).await;
        assert!(!masked.contains(TOKEN), "{masked}");
        fixture.host.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn remote_server_with_other_token_is_an_error_without_it() -> Result<()> {
    let server = RemoteFixture::fastmcp(&["--token", TOKEN]).await?;
    let fixture =
        HostFixture::without_credentials([("remote", server_with_token(&server.url(), "a-wrong-token"))])
            .await;
    let catalog = fixture.catalog().await;
    let error = &catalog.errors[0].error;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("HTTP 403: another token"), "{error}");
    assert!(!error.to_string().contains("a-wrong-token"));
    fixture.host.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn remote_server_that_restarts_is_connected_anew() -> Result<()> {
    let server = RemoteFixture::fastmcp(&["--token", TOKEN]).await?;
    let fixture =
        HostFixture::without_credentials([("remote", server_with_token(&server.url(), TOKEN))]).await;
    assert_eq!(echo(&fixture, "a").await, "a");
    let port = server.0.port().to_string();
    drop(server);
    let gone = fixture.call_error_with("remote__echo", json!({"text": "b"})).await;
    assert!(gone.contains("remote"), "{gone}");
    let _server = RemoteFixture::fastmcp(&["--token", TOKEN, "--port", &port]).await?;
    // The new process does not know the session.
    let mut texts = Vec::new();
    for text in ["c", "d"] {
        texts.push(echo(&fixture, text).await);
    }
    assert_eq!(texts[1], "d", "{texts:?}");
    fixture.host.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn remote_modern_server_is_called_without_session() -> Result<()> {
    let python = Venv::Clients.program("python")?;
    let server = RemoteFixture::start(python, "modern_server.py", &[]).await;
    let fixture = HostFixture::without_credentials([("remote", ServerConfig::remote(server.url()))]).await;
    let catalog = fixture.catalog().await;
    assert_eq!(catalog.tools.len(), 2, "{:?}", catalog.errors);
    assert_eq!(echo(&fixture, "modern").await, "modern");
    let announced = fixture.call_raw("remote__announce", json!({"text": "now"})).await;
    assert_eq!(announced["content"][0]["text"], "announced");
    fixture.host.shutdown().await;
    Ok(())
}

/// Returns the argument of the server that accepts signatures of these credentials.
fn key_argument(credentials: &Credentials) -> String {
    format!(
        "{}={}={}",
        credentials.access_key_id().as_str(),
        credentials.expose_secret_access_key(),
        credentials.expose_session_token().unwrap_or_default()
    )
}

async fn start_signed(credentials: [&Credentials; 2], mode: &[&str]) -> Result<(RemoteFixture, HostFixture)> {
    let keys = credentials.map(key_argument);
    let arguments = [&["--key", &keys[0], "--key", &keys[1]], mode].concat();
    let server = RemoteFixture::fastmcp(&arguments).await?;
    let mut config = ServerConfig::remote(format!(
        "http://127.0.0.1:{}/runtimes/arn%3Aaws/mcp?qualifier=a%2Fb&b",
        server.0.port()
    ));
    config.delivery = Delivery::SigV4;
    config.signing_service = Some("bedrock-agentcore".to_owned());
    config.signing_region = Some("eu-west-1".parse().unwrap());
    let fixture = HostFixture::without_credentials([("remote", config)]).await;
    Ok((server, fixture))
}

async fn signer(fixture: &HostFixture) -> String {
    let result = fixture.call_raw("remote__whoami", json!({})).await;
    result["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn remote_requests_are_signed_with_current_credentials() -> Result<()> {
    for mode in [&[][..], &["--stateless", "--json"]] {
        let accounts = [keys("AAAA"), keys("BBBB")];
        let (_server, fixture) = start_signed([&accounts[0], &accounts[1]], mode).await?;
        let catalog = fixture.catalog().await;
        assert_eq!(catalog.errors[0].error.kind(), ErrorKind::NotConfigured, "nothing can be signed yet");
        let mut changes = fixture.host.tools_changed();
        fixture.session.set_credentials(accounts[1].clone()).unwrap();
        changes.changed().await.unwrap();
        assert_eq!(fixture.catalog().await.tools.len(), 3);
        for credentials in accounts.iter().cycle().take(40) {
            fixture.session.set_credentials(credentials.clone()).unwrap();
            assert_eq!(signer(&fixture).await, credentials.access_key_id().as_str(), "{mode:?}");
        }
        fixture.session.clear();
        let refused = fixture.call_error_with("remote__whoami", json!({})).await;
        assert!(refused.contains("set_aws_credentials_context"), "{refused}");
        // The server accepts no other key.
        fixture.set("CCCC");
        let refused = fixture.call_error_with("remote__whoami", json!({})).await;
        assert!(refused.contains("HTTP 403: The request is not signed"), "{refused}");
        fixture.session.set_credentials(accounts[0].clone()).unwrap();
        assert_eq!(signer(&fixture).await, accounts[0].access_key_id().as_str());
        fixture.host.shutdown().await;
    }
    Ok(())
}

#[tokio::test]
async fn remote_canary_is_in_no_output_log_or_record() -> Result<()> {
    let logs = captured_logs();
    let canary = Canary::new();
    let credentials = canary.credentials(Expiry::Never).unwrap();
    let (_server, fixture) = start_signed([&credentials, &keys("AAAA")], &[]).await?;
    fixture.session.set_credentials(credentials).unwrap();
    let mut output = format!("{:?}", fixture.catalog().await);
    let secret = canary.expose_secret();
    output += &echo(&fixture, secret).await;
    let signer = signer(&fixture).await;
    assert_eq!(canary.found_in(&signer), ["access_key_id"], "the request was signed");
    output += &signer;
    output += &fixture.call_raw("remote__echo", json!({"other": "x"})).await.to_string();
    output += &format!("{:?} {:?}", fixture.audit.records(), fixture.host);
    assert!(output.contains("Serve"), "{output}");
    let found = canary.found_in(&output);
    assert!(found.iter().all(|mark| *mark == "access_key_id"), "{found:?} {output}");
    let in_logs = canary.found_in(&logs.text());
    assert!(in_logs.iter().all(|mark| *mark == "access_key_id"), "{in_logs:?}");
    fixture.host.shutdown().await;
    Ok(())
}
