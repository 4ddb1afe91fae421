//! Servers with delivery `proxy`: they hold no working key, and a change of the session's credentials applies to their
//! next request without a restart.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use valetkey_core::testing::Canary;
use valetkey_core::{ErrorKind, Expiry};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;
use valetkey_mcp::signing::Rules;
use valetkey_rig::{AccessKey, MiniStack, Moto, Result, Script, packages, program};

use super::{assume_role, python_script};
use crate::canary::captured_logs;
use crate::host_fixture::{HostFixture, host_environment_with};
use crate::keys::keys;

const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];

fn any_key() -> AccessKey {
    AccessKey { access_key_id: "AKIAANYBODY000000001".to_owned(), secret_access_key: "anything".to_owned() }
}

fn keyless_server(command: &Path, source: &Path) -> ServerConfig {
    let mut server = ServerConfig::new(command.to_str().unwrap());
    server.args = vec![source.to_str().unwrap().to_owned()];
    server.delivery = Delivery::Proxy;
    if let Ok(root) = packages::node_root() {
        server.env.insert("RIG_NODE".to_owned(), root.to_str().unwrap().to_owned());
    }
    server
}

fn python_server() -> Result<ServerConfig> {
    Ok(keyless_server(&program("python")?, &python_script("whoami.py")))
}

/// Starts a host with one server, `sdk`, in whose environment AWS is at `url`.
async fn start_host(server: ServerConfig, url: &str) -> HostFixture {
    let environment = host_environment_with(&[("AWS_ENDPOINT_URL", url)]);
    HostFixture::with_builder([("sdk", server)], |host| host.environment(environment)).await
}

/// Returns the caller identity of the server as AWS reports it, or the error.
async fn caller(fixture: &HostFixture) -> String {
    let result = fixture.call_raw("sdk__whoami", json!({})).await;
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned()
}

/// Returns the variables of the server's process, as another process of the same user reads them.
fn variables_of_server(fixture: &HostFixture) -> HashMap<String, String> {
    let held = fs::read_to_string(format!("/proc/{}/environ", fixture.pid("sdk").unwrap())).unwrap();
    let entries = held.split('\0').filter_map(|entry| entry.split_once('='));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn key_of(variables: &HashMap<String, String>) -> AccessKey {
    AccessKey {
        access_key_id: variables["AWS_ACCESS_KEY_ID"].clone(),
        secret_access_key: variables["AWS_SECRET_ACCESS_KEY"].clone(),
    }
}

/// Changes the account many times, and asserts that each request of one process acts in the account of its time.
async fn assert_switches_at_next_request(command: PathBuf, source: PathBuf, rounds: usize) -> Result<()> {
    let moto = Moto::start().await?;
    let roles = ACCOUNTS.map(|account| format!("arn:aws:iam::{account}:role/agent"));
    let [first, second] = [
        assume_role(&moto.url(), &any_key(), &[&roles[0], "switch"]).await?,
        assume_role(&moto.url(), &any_key(), &[&roles[1], "switch"]).await?,
    ];
    let fixture = start_host(keyless_server(&command, &source), &moto.url()).await;
    fixture.catalog().await;
    let pid = fixture.pid("sdk").unwrap();
    for _ in 0..rounds {
        for (credentials, account) in [&first, &second].into_iter().zip(ACCOUNTS) {
            fixture.session.set_credentials(credentials.clone()).unwrap();
            let expected = format!("arn:aws:sts::{account}:assumed-role/agent/switch");
            assert_eq!(caller(&fixture).await, expected);
        }
    }
    fixture.session.clear();
    assert!(!caller(&fixture).await.contains("arn:"), "a cleared session signs nothing");
    fixture.session.set_credentials(first).unwrap();
    assert!(caller(&fixture).await.contains(ACCOUNTS[0]));
    assert_eq!(fixture.pid("sdk"), Some(pid), "the process stays");
    fixture.host.shutdown().await;
    moto.stop().await
}

#[tokio::test]
async fn keyless_boto3_server_switches_at_next_request() -> Result<()> {
    assert_switches_at_next_request(program("python")?, python_script("whoami.py"), 100).await
}

#[tokio::test]
async fn keyless_javascript_server_switches_at_next_request() -> Result<()> {
    assert_switches_at_next_request(packages::node()?, python_script("../node/whoami.mjs"), 500).await
}

#[tokio::test]
async fn keyless_placeholders_are_refused_by_aws() -> Result<()> {
    let ministack = MiniStack::start().await?;
    let (seed, url) = (ministack.seed().await?, ministack.url());
    let tenant = &seed.tenants[0];
    let fixture = start_host(python_server()?, &url).await;
    let role = [tenant.role_arn.as_str(), "keyless", &tenant.external_id];
    fixture.session.set_credentials(assume_role(&url, &seed.broker, &role).await?).unwrap();
    assert!(
        caller(&fixture).await.contains("assumed-role/agent/keyless"),
        "the proxy's signature is accepted"
    );
    let placeholder = key_of(&variables_of_server(&fixture));
    let refused = assume_role(&url, &placeholder, &role).await.unwrap_err();
    assert!(refused.to_string().contains("InvalidClientTokenId"), "{refused}");
    fixture.host.shutdown().await;
    ministack.stop().await
}

#[tokio::test]
async fn keyless_placeholders_of_other_process_are_refused() -> Result<()> {
    let moto = Moto::start().await?;
    let fixture = start_host(python_server()?, &moto.url()).await;
    let role = "arn:aws:iam::111111111111:role/agent";
    fixture.session.set_credentials(assume_role(&moto.url(), &any_key(), &[role, "ended"]).await?).unwrap();
    assert!(caller(&fixture).await.contains("assumed-role/agent/ended"));
    // What another process may have read, or the server may have sent away.
    let held = variables_of_server(&fixture);
    let stolen = || {
        let variables = held.iter().filter(|(name, _)| name.starts_with("AWS_"));
        let program = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])";
        Script::new("-c").arg(program).envs(variables).run()
    };
    let refused = stolen().await.unwrap_err().to_string();
    assert!(refused.contains("these keys were given to another program"), "{refused}");
    assert!(caller(&fixture).await.contains("assumed-role/agent/ended"), "they work for the server");
    let pid = fixture.pid("sdk").unwrap();
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    // Another process replaces it, and the proxy is the same. The call that the process ends with is lost.
    let first = caller(&fixture).await;
    let second = caller(&fixture).await;
    assert!(second.contains("assumed-role/agent/ended"), "{first}, then {second}");
    assert_eq!(variables_of_server(&fixture)["AWS_ENDPOINT_URL"], held["AWS_ENDPOINT_URL"]);
    let refused = stolen().await.unwrap_err().to_string();
    assert!(
        refused.contains("these keys are not placeholders of this proxy, or no longer valid"),
        "{refused}"
    );
    fixture.host.shutdown().await;
    moto.stop().await
}

#[tokio::test]
async fn keyless_server_rules_refuse_request() -> Result<()> {
    let mut server = python_server()?;
    server.requests = Rules::default().deny("sts:GetCallerIdentity").unwrap();
    let fixture = start_host(server, "http://127.0.0.1:9").await;
    fixture.session.set_credentials(keys("AAAA")).unwrap();
    let refused = caller(&fixture).await;
    assert!(refused.contains("AccessDenied") && refused.contains("valetkey: the rule deny"), "{refused}");
    fixture.host.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn keyless_server_with_endpoint_of_its_own_is_refused() -> Result<()> {
    let mut server = python_server()?;
    server.env.insert("AWS_ENDPOINT_URL_S3".to_owned(), "http://127.0.0.1:9".to_owned());
    let fixture = start_host(server, "http://127.0.0.1:9").await;
    let catalog = fixture.catalog().await;
    let error = &catalog.errors[0].error;
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("env.AWS_ENDPOINT_URL_S3")));
    fixture.host.shutdown().await;
    Ok(())
}

/// AWS, which records what it receives, and responds as STS.
async fn record_requests() -> (String, Arc<Mutex<String>>) {
    const RESPONSE: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:recorded</Arn>\
        </GetCallerIdentityResult></GetCallerIdentityResponse>";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let received = Arc::<Mutex<String>>::default();
    let record = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 16 * 1024];
            let length = stream.read(&mut buffer).await.unwrap_or_default();
            record.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                RESPONSE.len()
            );
            stream.write_all((head + RESPONSE).as_bytes()).await.unwrap_or_default();
        }
    });
    (url, received)
}

#[tokio::test]
async fn keyless_canary_reaches_aws_and_nothing_else() -> Result<()> {
    let logs = captured_logs();
    let (url, received) = record_requests().await;
    let canary = Canary::new();
    let fixture = start_host(python_server()?, &url).await;
    fixture.session.set_credentials(canary.credentials(Expiry::Never).unwrap()).unwrap();
    assert_eq!(caller(&fixture).await, "arn:aws:recorded");
    assert_eq!(
        canary.found_in(&received.lock().unwrap()),
        ["token", "access_key_id"],
        "AWS gets the token, and a signature"
    );
    let pid = fixture.pid("sdk").unwrap();
    let held = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert!(held.contains("ASIAVALETKEY"), "{held}");
    let records = format!("{:?}", fixture.audit.records());
    assert!(records.contains("event: Request"), "{records}");
    for output in [held, records, format!("{:?}", fixture.host)] {
        assert_eq!(canary.found_in(&output), [""; 0], "{output}");
    }
    // The signing crate of AWS logs the access key id, which is not secret.
    let in_logs = canary.found_in(&logs.text());
    assert!(in_logs.iter().all(|mark| *mark == "access_key_id"), "{in_logs:?}");
    fixture.host.shutdown().await;
    Ok(())
}
