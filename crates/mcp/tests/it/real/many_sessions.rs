//! 200 sessions of 20 principals at once, in random interleavings: every call acts in the caller's own account.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use valetkey_mcp::child::Delivery;
use valetkey_mcp::http::Authenticator;
use valetkey_mcp::{ProcessLimits, ProcessQuota};
use valetkey_rig::{Moto, Result};

use crate::host_fixture::server;
use crate::http::client_fixture::HttpClientFixture;
use crate::http::fixture::{HttpGatewayFixture, registry};

const PRINCIPALS: usize = 20;
const SESSIONS_PER_PRINCIPAL: usize = 10;
const STEPS_PER_SESSION: usize = 8;
const MAX_PROCESSES: usize = 40;
/// The accounts of one session are consecutive numbers, of which no other session has any.
const ACCOUNTS_PER_SESSION: usize = 3;
const FIRST_ACCOUNT: usize = 100_000_000_000;

/// A credential session of one principal, and what is expected of it.
struct SessionModel {
    client: HttpClientFixture,
    number: usize,
    /// The account whose credentials were set last; `None` without credentials.
    account: Option<usize>,
}

/// What all sessions share.
struct Scene {
    gateway: HttpGatewayFixture,
    moto: String,
    /// The open handles of each principal.
    handles: parking_lot::Mutex<Vec<Vec<String>>>,
}

fn token(principal: usize) -> String {
    format!("token-of-principal-{principal}")
}

fn authenticator() -> Authenticator {
    (0..PRINCIPALS).fold(Authenticator::bearer(), |tokens, principal| {
        let digest: String =
            Sha256::digest(token(principal)).iter().map(|byte| format!("{byte:02x}")).collect();
        tokens.token(&digest, format!("principal-{principal}").parse().unwrap()).unwrap()
    })
}

/// Returns new credentials of an account, as the arguments of the tool that sets them.
async fn assume_role(moto: &str, account: usize) -> Value {
    let host = moto.strip_prefix("http://").unwrap();
    let role = format!("arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2Fagent");
    let body = format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=agent");
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIAANYBODY000000001/20260101/us-east-1/sts/aws4_request, \
         SignedHeaders=host, Signature=00\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let element = |name: &str| {
        let rest = reply.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
        rest.unwrap_or_else(|| panic!("no {name}: {reply}")).0.to_owned()
    };
    let keys = json!({
        "access_key_id": element("AccessKeyId"),
        "secret_access_key": element("SecretAccessKey"),
        "session_token": element("SessionToken"),
    });
    json!({ "credentials_json": keys })
}

impl SessionModel {
    async fn open(scene: &Scene, principal: usize, number: usize) -> Self {
        let mut session = Self { client: scene.gateway.modern(&token(principal)), number, account: None };
        session.reopen(scene, principal).await;
        session
    }

    async fn reopen(&mut self, scene: &Scene, principal: usize) {
        self.client.handle = None;
        let handle = self.client.create_session().await;
        scene.handles.lock()[principal].push(handle.clone());
        self.client.handle = Some(handle);
        self.account = None;
    }

    fn own_account(&self, choice: usize) -> usize {
        FIRST_ACCOUNT + self.number * ACCOUNTS_PER_SESSION + choice
    }

    async fn set(&mut self, scene: &Scene, account: usize) {
        let arguments = assume_role(&scene.moto, account).await;
        self.client.call_ok("set_aws_credentials_context", arguments).await;
        self.account = Some(account);
    }

    /// Calls the server, which must act in the account that was set last, or refuse without credentials.
    async fn check_caller(&mut self) {
        let result = self.client.call("identity__caller", json!({})).await;
        match self.account {
            Some(account) => {
                let reported = &result["structuredContent"]["account"];
                assert_eq!(reported, &json!(account.to_string()), "session {}: {result}", self.number);
            }
            None => assert_eq!(result["isError"], true, "session {}: {result}", self.number),
        }
    }

    /// Sets credentials of another own account while a call is in progress, which acts in one of the two.
    async fn switch_during_call(&mut self, scene: &Scene, principal: usize, account: usize) {
        let mut other = scene.gateway.modern(&token(principal));
        other.handle.clone_from(&self.client.handle);
        let before = self.account;
        let (result, ()) = tokio::join!(other.call("identity__caller", json!({})), self.set(scene, account));
        let reported = &result["structuredContent"]["account"];
        let is_own =
            [before, self.account].into_iter().flatten().any(|own| reported == &json!(own.to_string()));
        assert!(is_own || result["isError"] == true, "session {}: {result}", self.number);
    }

    /// Presents a handle of another principal, which must be refused whatever it names.
    async fn present_foreign_handle(&mut self, scene: &Scene, principal: usize) {
        let foreign = scene.handles.lock()[(principal + 1) % PRINCIPALS].last().cloned();
        let own = std::mem::replace(&mut self.client.handle, foreign);
        for tool in ["identity__caller", "get_aws_credentials_context", "clear_credential_context"] {
            let result = self.client.call(tool, json!({})).await;
            assert_eq!(result["isError"], true, "session {}: {result}", self.number);
        }
        self.client.handle = own;
    }

    async fn close(&mut self, scene: &Scene, principal: usize) {
        let handle = self.client.handle.take().unwrap();
        self.client.call_ok("close_credential_session", json!({"credential_session": handle})).await;
        self.client.call_error("identity__caller", json!({"credential_session": handle})).await;
        self.reopen(scene, principal).await;
    }

    async fn step(&mut self, scene: &Scene, principal: usize, random: &mut fastrand::Rng) {
        let account = self.own_account(random.usize(..ACCOUNTS_PER_SESSION));
        match random.u8(..12) {
            0..2 => self.set(scene, account).await,
            // New credentials of the same account.
            2 => self.set(scene, self.account.unwrap_or(account)).await,
            3 => self.switch_during_call(scene, principal, account).await,
            4 => {
                self.client.call_ok("clear_credential_context", json!({})).await;
                self.account = None;
            }
            5 => self.close(scene, principal).await,
            6 => {
                // A client that was restarted, with a protocol session or without.
                let handle = self.client.handle.take();
                self.client = match random.bool() {
                    true => scene.gateway.legacy(&token(principal)).await,
                    false => scene.gateway.modern(&token(principal)),
                };
                self.client.handle = handle;
            }
            7 if self.account.is_some() => {
                self.client.call_error("identity__crash", json!({})).await;
                self.check_caller().await;
            }
            8 => self.present_foreign_handle(scene, principal).await,
            _ => self.check_caller().await,
        }
    }
}

/// Uses the sessions of one principal, in random order.
async fn use_sessions(scene: Arc<Scene>, principal: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed + principal as u64);
    let mut sessions = Vec::new();
    for index in 0..SESSIONS_PER_PRINCIPAL {
        sessions
            .push(SessionModel::open(&scene, principal, principal * SESSIONS_PER_PRINCIPAL + index).await);
    }
    for _ in 0..STEPS_PER_SESSION * SESSIONS_PER_PRINCIPAL {
        let index = random.usize(..sessions.len());
        sessions[index].step(&scene, principal, &mut random).await;
    }
    for session in &mut sessions {
        session.check_caller().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_many_principals_never_cross() -> Result<()> {
    let seed = std::env::var("VALETKEY_TEST_SEED")
        .map_or_else(|_| fastrand::u64(..1 << 32), |seed| seed.parse().unwrap());
    #[allow(clippy::print_stderr, reason = "a failed run is repeated with its seed")]
    {
        eprintln!("VALETKEY_TEST_SEED={seed}");
    }
    let moto = Moto::start().await?;
    let mut limits = ProcessLimits::default();
    (limits.per_session, limits.per_principal, limits.total) = (2, 4, MAX_PROCESSES);
    let quota = ProcessQuota::new(limits);
    let mut identity = server("identity_server", Delivery::Endpoint);
    identity.env.insert("AWS_ENDPOINT_URL".to_owned(), moto.url());
    let shared = quota.clone();
    let gateway = HttpGatewayFixture::start_with(vec![("identity", identity)], authenticator(), |gateway| {
        gateway
            .process_quota(shared)
            .sessions(registry().max_sessions_per_principal(SESSIONS_PER_PRINCIPAL + 1))
    });
    let handles = parking_lot::Mutex::new(vec![Vec::new(); PRINCIPALS]);
    let scene = Arc::new(Scene { gateway: gateway.await, moto: moto.url(), handles });
    let principals =
        (0..PRINCIPALS).map(|principal| tokio::spawn(use_sessions(Arc::clone(&scene), principal, seed)));
    for result in join_all(principals).await {
        result.unwrap();
    }
    assert!((1..=MAX_PROCESSES).contains(&quota.running()), "{quota:?}");
    Arc::into_inner(scene).unwrap().gateway.stop().await;
    assert_eq!(quota.running(), 0);
    moto.stop().await
}
