//! Two sessions in two accounts, each with its own `awslabs.aws-api-mcp-server`: their credentials never mix, a
//! rotation reaches the running server, and clearing one session stops only that session's server.

use futures_util::future::join_all;
use serde_json::{Value, json};
use valetkey_mcp::config::ServerConfig;
use valetkey_rig::{AccessKey, Egress, Moto, Result, aws_api_environment, aws_environment, program};

use super::assume_role;
use crate::host_fixture::HostFixture;

const CONCURRENT_CALLERS: usize = 4;
const CALLS_PER_CALLER: usize = 25;

/// A session that acts in one account, on moto.
struct TenantFixture {
    account: &'static str,
    moto: String,
    fixture: HostFixture,
}

impl TenantFixture {
    async fn start(account: &'static str, moto: &Moto, egress: &Egress) -> Result<Self> {
        let command = program("awslabs.aws-api-mcp-server")?;
        let mut server = ServerConfig::new(command.to_str().unwrap());
        server.env.extend(aws_environment(&moto.url()));
        server.env.extend(aws_api_environment(egress));
        Ok(Self {
            account,
            moto: moto.url(),
            fixture: HostFixture::without_credentials([("aws-api", server)]).await,
        })
    }

    /// Sets new credentials, which are distinguished by the role session name.
    async fn rotate(&self, name: &str) -> Result<()> {
        let key = AccessKey {
            access_key_id: "AKIAANYBODY000000001".to_owned(),
            secret_access_key: "anything".to_owned(),
        };
        let role = format!("arn:aws:iam::{}:role/agent", self.account);
        let credentials = assume_role(&self.moto, &key, &[&role, name]).await?;
        self.fixture.session.set_credentials(credentials).unwrap();
        Ok(())
    }

    async fn identity(&self) -> Value {
        let arguments = json!({"cli_command": "aws sts get-caller-identity"});
        self.fixture.call_raw("aws-api__call_aws", arguments).await
    }

    fn arn(&self, name: &str) -> String {
        format!("arn:aws:sts::{}:assumed-role/agent/{name}", self.account)
    }

    async fn assert_identity(&self, name: &str) {
        let message = self.identity().await.to_string();
        assert!(message.contains(&self.arn(name)), "{} is not {name}: {message}", self.account);
    }

    /// Makes concurrent calls, each of which must run with this tenant's credentials.
    async fn call_concurrently(&self, name: &str, other: &str) {
        let call_repeatedly = async || {
            for _ in 0..CALLS_PER_CALLER {
                let message = self.identity().await.to_string();
                assert!(message.contains(&self.arn(name)) && !message.contains(other), "{message}");
            }
        };
        join_all((0..CONCURRENT_CALLERS).map(|_| call_repeatedly())).await;
    }

    fn pid(&self) -> u32 {
        self.fixture.pid("aws-api").unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_with_aws_api_server_stay_isolated() -> Result<()> {
    let (moto, egress) = tokio::try_join!(Moto::start(), Egress::start())?;
    let (a, b) = tokio::try_join!(
        TenantFixture::start("111111111111", &moto, &egress),
        TenantFixture::start("222222222222", &moto, &egress)
    )?;
    let listed = tokio::join!(a.fixture.catalog(), b.fixture.catalog());
    assert!(listed.0.errors.is_empty() && listed.1.errors.is_empty(), "{listed:?}");
    let refused = a.identity().await;
    assert_eq!(refused["isError"], true, "listed before there are credentials, and refused: {refused}");
    tokio::try_join!(a.rotate("first"), b.rotate("steady"))?;
    let pids = (a.pid(), b.pid());

    tokio::join!(a.call_concurrently("first", b.account), b.call_concurrently("steady", a.account));

    a.rotate("second").await?;
    a.assert_identity("second").await;
    b.assert_identity("steady").await;
    assert_eq!(b.pid(), pids.1, "the other session's server is the same process as at the beginning");
    assert_ne!(a.pid(), pids.0, "a process that had other credentials is replaced");
    let pids = (a.pid(), b.pid());

    a.fixture.session.clear();
    assert_eq!(a.identity().await["isError"], true);
    b.assert_identity("steady").await;

    tokio::join!(a.fixture.host.shutdown(), b.fixture.host.shutdown());
    assert!(!crate::process::is_running(pids.0) && !crate::process::is_running(pids.1));
    moto.stop().await?;
    egress.stop().await
}
