//! Real servers behind the gateway over HTTP: three for AWS, one through `npx` and one through `uvx`.

use std::env;

use futures_util::future::join_all;
use serde_json::{Value, json};
use valetkey_core::Credentials;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;
use valetkey_rig::{
    AccessKey, Egress, Moto, Result, Venv, aws_api_environment, aws_environment, packages, program,
};

use super::assume_role;
use crate::host_fixture::{HostFixture, host_environment_with};
use crate::http::client_fixture::HttpClientFixture;
use crate::http::fixture::{ALICE, BOB, HttpGatewayFixture, tokens};

/// The calls whose results name the account of the caller.
const AWS_CALLS: [(&str, &str); 3] = [
    ("aws-api__call_aws", r#"{"cli_command": "aws sts get-caller-identity"}"#),
    ("iam__create_group", r#"{"group_name": "agent", "confirmed": true}"#),
    ("sns__create_topic", r#"{"name": "agent"}"#),
];

fn server_command(venv: Venv, name: &str, args: &[&str]) -> ServerConfig {
    let command = venv.program(name).unwrap();
    let mut server = ServerConfig::new(command.to_str().unwrap());
    server.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    server
}

fn aws_servers(egress: &Egress) -> Vec<(&'static str, ServerConfig)> {
    let mut servers = vec![
        ("aws-api", ServerConfig::new(program("awslabs.aws-api-mcp-server").unwrap().to_str().unwrap())),
        ("iam", server_command(Venv::Workflow, "awslabs.iam-mcp-server", &["--allow-write"])),
        (
            "sns",
            server_command(
                Venv::Workflow,
                "awslabs.amazon-sns-sqs-mcp-server",
                &["--allow-resource-creation"],
            ),
        ),
    ];
    for (_, server) in &mut servers {
        server.env.extend(aws_api_environment(egress));
    }
    servers
}

/// The same servers, which send their requests to moto themselves.
fn aws_servers_with_endpoint(moto: &Moto, egress: &Egress) -> Vec<(&'static str, ServerConfig)> {
    let mut servers = aws_servers(egress);
    servers.iter_mut().for_each(|(_, server)| server.env.extend(aws_environment(&moto.url())));
    servers
}

/// The server with every feature of the protocol, through `npx`, without credentials.
pub(super) fn everything_server() -> ServerConfig {
    let clients = Venv::Clients.path();
    let arguments = ["--offline", "--prefix", clients.to_str().unwrap(), "mcp-server-everything"];
    let mut everything = server_command(Venv::Node, "npx", &arguments);
    let node = packages::node().unwrap();
    let path = format!("{}:{}", node.parent().unwrap().display(), env::var("PATH").unwrap());
    everything.env.insert("PATH".to_owned(), path);
    everything.delivery = Delivery::None;
    everything
}

/// Two servers without credentials, through the runners of packages.
fn runner_servers() -> Vec<(&'static str, ServerConfig)> {
    let mut time = server_command(Venv::Node, "uv", &packages::TIME_SERVER);
    let cache = packages::uv_cache().to_str().unwrap().to_owned();
    time.env.extend([("UV_CACHE_DIR".to_owned(), cache), ("UV_OFFLINE".to_owned(), "1".to_owned())]);
    time.delivery = Delivery::None;
    vec![("everything", everything_server()), ("time", time)]
}

async fn assume_role_in(moto: &Moto, account: &str) -> Result<Credentials> {
    let key = AccessKey {
        access_key_id: "AKIAANYBODY000000001".to_owned(),
        secret_access_key: "anything".to_owned(),
    };
    let role = format!("arn:aws:iam::{account}:role/agent");
    assume_role(&moto.url(), &key, &[&role, "agent"]).await
}

/// Returns the keys of a role of the account, as the argument of a tool.
async fn keys(moto: &Moto, account: &str) -> Result<Value> {
    let assumed = assume_role_in(moto, account).await?;
    Ok(json!({
        "access_key_id": assumed.access_key_id().as_str(),
        "secret_access_key": assumed.expose_secret_access_key(),
        "session_token": assumed.expose_session_token(),
    }))
}

/// Calls each server for AWS in a credential session with these keys. Every result names the account.
async fn act_in(mut client: HttpClientFixture, account: &str, keys: Value) {
    client.handle = Some(client.create_session().await);
    client.call_ok("set_aws_credentials_context", json!({"credentials_json": keys})).await;
    for (tool, arguments) in AWS_CALLS {
        let result = client.call(tool, serde_json::from_str(arguments).unwrap()).await.to_string();
        assert!(result.contains(account), "{tool} in {account}: {result}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_servers_over_http_act_in_each_account() -> Result<()> {
    let (moto, egress) = tokio::try_join!(Moto::start(), Egress::start())?;
    let servers = aws_servers_with_endpoint(&moto, &egress);
    let gateway = HttpGatewayFixture::start_with(servers, tokens(), |gateway| gateway).await;
    let mut sessions = Vec::new();
    for (token, account) in [(ALICE, "111111111111"), (BOB, "222222222222")] {
        sessions.push(act_in(gateway.modern(token), account, keys(&moto, account).await?));
    }
    join_all(sessions).await;
    gateway.stop().await;
    moto.stop().await?;
    egress.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_servers_with_proxy_act_in_each_account() -> Result<()> {
    let (moto, egress) = tokio::try_join!(Moto::start(), Egress::start())?;
    // All seven servers are in `keyless_servers`; here, the processes stay while the account changes.
    let servers = aws_servers(&egress).into_iter().take(2).collect::<Vec<_>>();
    let servers: [(&str, ServerConfig); 2] = servers.try_into().unwrap();
    let servers = servers.map(|(name, mut server)| {
        server.delivery = Delivery::Proxy;
        (name, server)
    });
    let environment = host_environment_with(&[("AWS_ENDPOINT_URL", &moto.url())]);
    let fixture = HostFixture::with_builder(servers, |host| host.environment(environment)).await;
    for account in ["111111111111", "222222222222"] {
        fixture.session.set_credentials(assume_role_in(&moto, account).await?).unwrap();
        for (tool, arguments) in &AWS_CALLS[..2] {
            let result = fixture.call_raw(tool, serde_json::from_str(arguments).unwrap()).await.to_string();
            assert!(result.contains(account), "{tool} in {account}: {result}");
        }
    }
    fixture.host.shutdown().await;
    moto.stop().await?;
    egress.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn npx_and_uvx_servers_over_http_are_called() -> Result<()> {
    let gateway = HttpGatewayFixture::start_with(runner_servers(), tokens(), |gateway| gateway).await;
    let mut client = gateway.modern(ALICE);
    client.handle = Some(client.create_session().await);
    let echo = client.call("everything__echo", json!({"message": "through npx"})).await;
    assert!(echo.to_string().contains("through npx"), "{echo}");
    let image = client.call("everything__get-tiny-image", json!({})).await;
    assert!(image["content"].as_array().unwrap().iter().any(|part| part["type"] == "image"), "{image}");
    let time = client.call("time__get_current_time", json!({"timezone": "Asia/Tokyo"})).await;
    assert!(time.to_string().contains("+09:00"), "{time}");
    gateway.stop().await;
    Ok(())
}
