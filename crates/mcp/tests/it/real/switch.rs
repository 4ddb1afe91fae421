//! Servers that cache an AWS client act in the account of the session at the first call after a switch, and at each
//! renewal stay the same process.

use async_trait::async_trait;
use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use valetkey_core::{CredentialProvider, Credentials, Error, ErrorKind};
use valetkey_mcp::config::ServerConfig;
use valetkey_rig::{AccessKey, Moto, Result, aws_environment, packages, program};

use super::{assume, script};
use crate::stage::Stage;

const FIRST: &str = "111111111111";
const SECOND: &str = "222222222222";

fn key() -> AccessKey {
    AccessKey { access_key_id: "AKIAANYBODY000000001".to_owned(), secret_access_key: "anything".to_owned() }
}

fn role(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/agent")
}

/// A role that is assumed anew, under another name, at each renewal.
#[derive(Debug)]
struct Role(String, AtomicUsize);

#[async_trait]
impl CredentialProvider for Role {
    fn name(&self) -> Cow<'static, str> {
        "role".into()
    }

    async fn provide(&self) -> valetkey_core::Result<Credentials> {
        let name = format!("renewed-{}", self.1.fetch_add(1, Ordering::Relaxed));
        let assumed = assume(&self.0, &key(), &[&role(FIRST), &name]).await;
        assumed.map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))
    }
}

struct Switch {
    moto: Moto,
    stage: Stage,
}

impl Switch {
    async fn start(command: &std::path::Path, source: std::path::PathBuf) -> Result<Self> {
        let moto = Moto::start().await?;
        let mut server = ServerConfig::new(command.to_str().unwrap());
        server.args = vec![source.to_str().unwrap().to_owned()];
        server.env.extend(aws_environment(&moto.url()));
        if let Ok(root) = packages::node_root() {
            server.env.insert("RIG_NODE".to_owned(), root.to_str().unwrap().to_owned());
        }
        Ok(Self { moto, stage: Stage::bare([("sdk", server)]).await })
    }

    async fn set(&self, account: &str, name: &str) -> Result<()> {
        let credentials = assume(&self.moto.url(), &key(), &[&role(account), name]).await?;
        self.stage.session.set_credentials(credentials).unwrap();
        Ok(())
    }

    /// Whose process answers, as AWS sees it, and which process it is.
    async fn caller(&self) -> (String, u32) {
        let result = self.stage.result("sdk__whoami", json!({})).await;
        assert_ne!(result["isError"], json!(true), "{result}");
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
        (text.to_owned(), self.stage.pid("sdk").unwrap())
    }

    async fn acts_as(&self, account: &str, name: &str) -> u32 {
        let (arn, pid) = self.caller().await;
        assert_eq!(arn, format!("arn:aws:sts::{account}:assumed-role/agent/{name}"));
        pid
    }

    async fn switches_at_once(self) -> Result<()> {
        let catalog = self.stage.catalog().await;
        let listed = self.stage.pid("sdk").unwrap_or_else(|| panic!("{catalog:?}"));
        self.set(FIRST, "first").await?;
        let first = self.acts_as(FIRST, "first").await;
        assert_eq!(first, listed, "the first credentials reach the process that listed");
        self.set(SECOND, "second").await?;
        let second = self.acts_as(SECOND, "second").await;
        assert_ne!(second, first);
        self.stage.session.clear();
        self.set(FIRST, "third").await?;
        assert_ne!(self.acts_as(FIRST, "third").await, second);
        self.ends().await
    }

    async fn ends(self) -> Result<()> {
        self.stage.host.shutdown().await;
        self.moto.stop().await
    }
}

#[tokio::test]
async fn switch_javascript_sdk_acts_as_the_new_account_at_once() -> Result<()> {
    Switch::start(&packages::node()?, script("../node/whoami.mjs")).await?.switches_at_once().await
}

#[tokio::test]
async fn switch_boto3_acts_as_the_new_account_at_once() -> Result<()> {
    Switch::start(&program("python")?, script("whoami.py")).await?.switches_at_once().await
}

#[tokio::test]
async fn renewal_of_the_same_credentials_keeps_the_process() -> Result<()> {
    let switch = Switch::start(&program("python")?, script("whoami.py")).await?;
    let session = &switch.stage.session;
    let provider = Role(switch.moto.url(), AtomicUsize::new(0));
    session.set_provider_for(session.default_account(), std::sync::Arc::new(provider)).unwrap();
    let before = switch.acts_as(FIRST, "renewed-0").await;
    session.refresh(session.default_account()).await.unwrap();
    assert_eq!(switch.acts_as(FIRST, "renewed-1").await, before);
    switch.ends().await
}
