//! The official Python and TypeScript clients of the gateway over HTTP, and a real AWS server in sessions of two
//! principals.

use futures_util::future::join_all;
use serde_json::{Value, json};
use valetkey_core::Credentials;
use valetkey_mcp::config::ServerConfig;
use valetkey_rig::{AccessKey, Egress, Moto, Result, Script, aws_api_environment, aws_environment, program};

use super::{assume_role, python_script};
use crate::http::client_fixture::HttpClientFixture;
use crate::http::fixture::{ALICE, BOB, HttpGatewayFixture, tokens};

const CALLS: usize = 8;

pub(super) fn node_script(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node").join(name)
}

pub(super) async fn run_client(script: Script, gateway: &HttpGatewayFixture, token: &str) -> Result<Value> {
    let url = format!("http://{}/mcp", gateway.address);
    Ok(serde_json::from_str(&script.arg(url).arg(token).run().await?).unwrap())
}

#[tokio::test]
async fn python_client_over_http_sets_credentials_and_calls() -> Result<()> {
    let gateway = HttpGatewayFixture::with_server().await;
    let output = run_client(Script::new(python_script("http_client.py")), &gateway, ALICE).await?;
    assert_eq!(output["server"], "valetkey");
    assert_eq!(output["tools"].as_array().unwrap().len(), 18, "{output}");
    assert_eq!((&output["given"], &output["empty"]), (&json!(false), &json!(true)), "{output}");
    assert_eq!((&output["after"]["key"], &output["after"]["source"]), (&json!("AAAA"), &json!("endpoint")));
    assert_eq!(output["separate"]["key"], "AAAA", "with an MCP session for each call: {output}");
    assert_ne!(output["separate"]["pid"], output["after"]["pid"]);
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn typescript_client_over_http_sets_credentials_and_calls() -> Result<()> {
    let gateway = HttpGatewayFixture::with_server().await;
    let output = run_client(Script::node(node_script("http_client.mjs")), &gateway, BOB).await?;
    assert_eq!(output["tools"].as_array().unwrap().len(), 18, "{output}");
    assert_eq!((&output["given"], &output["after"]["key"]), (&json!(false), &json!("BBBB")), "{output}");
    gateway.stop().await;
    Ok(())
}

async fn credentials(moto: &Moto, account: &str, name: &str) -> Result<Credentials> {
    let key = AccessKey {
        access_key_id: "AKIAANYBODY000000001".to_owned(),
        secret_access_key: "anything".to_owned(),
    };
    assume_role(&moto.url(), &key, &[&format!("arn:aws:iam::{account}:role/agent"), name]).await
}

fn credentials_json(credentials: &Credentials) -> Value {
    json!({
        "access_key_id": credentials.access_key_id().as_str(),
        "secret_access_key": credentials.expose_secret_access_key(),
        "session_token": credentials.expose_session_token(),
    })
}

/// Sets credentials of an account, and calls AWS with them. Every call must act in this account.
async fn act_in(mut client: HttpClientFixture, account: &str, credentials: Credentials) {
    client.handle = Some(client.create_session().await);
    let keys = credentials_json(&credentials);
    client.call_ok("set_aws_credentials_context", json!({"credentials_json": keys})).await;
    for _ in 0..CALLS {
        let arguments = json!({"cli_command": "aws sts get-caller-identity"});
        let identity = client.call("aws-api__call_aws", arguments).await.to_string();
        assert!(identity.contains(&format!("arn:aws:sts::{account}:assumed-role/agent/")), "{identity}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn principals_over_http_act_in_their_own_accounts() -> Result<()> {
    let (moto, egress) = tokio::try_join!(Moto::start(), Egress::start())?;
    let command = program("awslabs.aws-api-mcp-server")?;
    let mut server = ServerConfig::new(command.to_str().unwrap());
    server.env.extend(aws_environment(&moto.url()));
    server.env.extend(aws_api_environment(&egress));
    let gateway =
        HttpGatewayFixture::start_with(vec![("aws-api", server)], tokens(), |gateway| gateway).await;
    let accounts = [(ALICE, "111111111111"), (BOB, "222222222222"), (ALICE, "333333333333")];
    let mut sessions = Vec::new();
    for (token, account) in accounts {
        sessions.push(act_in(gateway.modern(token), account, credentials(&moto, account, "agent").await?));
    }
    join_all(sessions).await;
    gateway.stop().await;
    moto.stop().await?;
    egress.stop().await
}

/// The catalog has no credentials, and the server ends at its start if it finds none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eager_boto3_is_listed_without_and_acts_with_credentials() -> Result<()> {
    let moto = Moto::start().await?;
    let mut server = ServerConfig::new(program("python")?.to_str().unwrap());
    server.args = vec![python_script("whoami.py").to_str().unwrap().to_owned(), "eager".to_owned()];
    server.env.extend(aws_environment(&moto.url()));
    let gateway = HttpGatewayFixture::start_with(vec![("sdk", server)], tokens(), |gateway| gateway).await;
    let mut client = gateway.modern(ALICE);
    let listed = client.request("tools/list", json!({})).await.json().to_string();
    assert!(listed.contains("sdk__whoami"), "{listed}");
    client.handle = Some(client.create_session().await);
    let keys = credentials_json(&credentials(&moto, "111111111111", "agent").await?);
    client.call_ok("set_aws_credentials_context", json!({"credentials_json": keys})).await;
    let identity = client.call("sdk__whoami", json!({})).await.to_string();
    assert!(identity.contains("arn:aws:sts::111111111111:assumed-role/agent/agent"), "{identity}");
    gateway.stop().await;
    moto.stop().await
}
