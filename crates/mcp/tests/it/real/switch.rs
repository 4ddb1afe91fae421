//! Servers that cache an AWS client use the session's new account at the first call after a switch. Renewals do not
//! restart their process.

use async_trait::async_trait;
use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind};
use valetkey_mcp::config::ServerConfig;
use valetkey_rig::{AccessKey, Moto, Result, aws_environment, packages, program};

use super::{assume_role, python_script};
use crate::host_fixture::HostFixture;

const FIRST_ACCOUNT: &str = "111111111111";
const SECOND_ACCOUNT: &str = "222222222222";

fn any_key() -> AccessKey {
    AccessKey { access_key_id: "AKIAANYBODY000000001".to_owned(), secret_access_key: "anything".to_owned() }
}

fn role_arn(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/agent")
}

/// A role that is assumed again, under a new session name, at each renewal.
#[derive(Debug)]
struct RenewingRoleProvider(String, AtomicUsize);

#[async_trait]
impl CredentialProvider for RenewingRoleProvider {
    fn name(&self) -> Cow<'static, str> {
        "role".into()
    }

    async fn provide(&self) -> valetkey_core::Result<Credentials> {
        let name = format!("renewed-{}", self.1.fetch_add(1, Ordering::Relaxed));
        let assumed = assume_role(&self.0, &any_key(), &[&role_arn(FIRST_ACCOUNT), &name]).await;
        assumed.map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))
    }
}

fn source(name: &str) -> String {
    python_script(name).to_str().unwrap().to_owned()
}

struct SwitchFixture {
    moto: Moto,
    fixture: HostFixture,
}

impl SwitchFixture {
    /// `args` are those of a program: its source, and its options.
    async fn start(command: &std::path::Path, args: &[String]) -> Result<Self> {
        let moto = Moto::start().await?;
        let mut server = ServerConfig::new(command.to_str().unwrap());
        server.args = args.to_vec();
        server.env.extend(aws_environment(&moto.url()));
        if let Ok(root) = packages::node_root() {
            server.env.insert("RIG_NODE".to_owned(), root.to_str().unwrap().to_owned());
        }
        Ok(Self { moto, fixture: HostFixture::without_credentials([("sdk", server)]).await })
    }

    async fn set_credentials(&self, account: &str, name: &str) -> Result<()> {
        let credentials = assume_role(&self.moto.url(), &any_key(), &[&role_arn(account), name]).await?;
        self.fixture.session.set_credentials(credentials).unwrap();
        Ok(())
    }

    /// Returns the caller identity of the server as AWS reports it, and the server's process id.
    async fn caller(&self) -> (String, u32) {
        let result = self.fixture.call_raw("sdk__whoami", json!({})).await;
        assert_ne!(result["isError"], json!(true), "{result}");
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
        (text.to_owned(), self.fixture.pid("sdk").unwrap())
    }

    async fn assert_acts_as(&self, account: &str, name: &str) -> u32 {
        let (arn, pid) = self.caller().await;
        assert_eq!(arn, format!("arn:aws:sts::{account}:assumed-role/agent/{name}"));
        pid
    }

    async fn assert_switches_at_once(self) -> Result<()> {
        let catalog = self.fixture.catalog().await;
        let listed = self.fixture.pid("sdk").unwrap_or_else(|| panic!("{catalog:?}"));
        self.set_credentials(FIRST_ACCOUNT, "first").await?;
        let first = self.assert_acts_as(FIRST_ACCOUNT, "first").await;
        assert_eq!(first, listed, "the first credentials reach the process that listed");
        self.set_credentials(SECOND_ACCOUNT, "second").await?;
        let second = self.assert_acts_as(SECOND_ACCOUNT, "second").await;
        assert_ne!(second, first);
        self.fixture.session.clear();
        self.set_credentials(FIRST_ACCOUNT, "third").await?;
        assert_ne!(self.assert_acts_as(FIRST_ACCOUNT, "third").await, second);
        self.shutdown().await
    }

    async fn shutdown(self) -> Result<()> {
        self.fixture.host.shutdown().await;
        self.moto.stop().await
    }
}

#[tokio::test]
async fn switch_javascript_sdk_acts_as_the_new_account_at_once() -> Result<()> {
    SwitchFixture::start(&packages::node()?, &[source("../node/whoami.mjs")])
        .await?
        .assert_switches_at_once()
        .await
}

#[tokio::test]
async fn switch_boto3_acts_as_the_new_account_at_once() -> Result<()> {
    SwitchFixture::start(&program("python")?, &[source("whoami.py")]).await?.assert_switches_at_once().await
}

/// A server that ends when it finds no credentials at its start lists its tools, and acts once there are some.
#[tokio::test]
async fn eager_boto3_lists_tools_before_credentials_are_set() -> Result<()> {
    let fixture =
        SwitchFixture::start(&program("python")?, &[source("whoami.py"), "eager".to_owned()]).await?;
    let catalog = fixture.fixture.catalog().await;
    assert!(catalog.tools.iter().any(|tool| tool.name == "sdk__whoami"), "{catalog:?}");
    let refused = fixture.fixture.call_error("sdk__whoami").await;
    assert!(refused.contains("No credentials are set"), "{refused}");
    fixture.set_credentials(FIRST_ACCOUNT, "first").await?;
    let first = fixture.assert_acts_as(FIRST_ACCOUNT, "first").await;
    assert_eq!(fixture.assert_acts_as(FIRST_ACCOUNT, "first").await, first);
    fixture.shutdown().await
}

#[tokio::test]
async fn renewal_of_the_same_credentials_keeps_the_process() -> Result<()> {
    let fixture = SwitchFixture::start(&program("python")?, &[source("whoami.py")]).await?;
    let session = &fixture.fixture.session;
    let provider = RenewingRoleProvider(fixture.moto.url(), AtomicUsize::new(0));
    session.set_provider(std::sync::Arc::new(provider)).unwrap();
    let before = fixture.assert_acts_as(FIRST_ACCOUNT, "renewed-0").await;
    session.refresh().await.unwrap();
    assert_eq!(fixture.assert_acts_as(FIRST_ACCOUNT, "renewed-1").await, before);
    fixture.shutdown().await
}
