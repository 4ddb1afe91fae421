//! A client that writes HTTP by hand, and an endpoint with one session behind it.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use valetkey_core::audit::{AuditEvent, InMemoryAudit};
use valetkey_core::testing::ManualClock;
use valetkey_core::{Clock, Credentials, SessionBuilder, SessionContext};
use valetkey_mcp::CredentialEndpoint;
use valetkey_mcp::endpoint::{Grant, Leash};

use crate::keys::temporary;

/// An endpoint and a session on one clock, and a grant on its account.
pub(super) struct Desk {
    pub(super) clock: ManualClock,
    pub(super) session: SessionContext,
    pub(super) audit: Arc<InMemoryAudit>,
    pub(super) endpoint: CredentialEndpoint,
    pub(super) grant: Grant,
    /// Where time is paused, it is the test that moves it.
    _held_time: Sender<()>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Desk {
    pub(super) async fn new() -> Self {
        Self::with(|session| session).await
    }

    pub(super) async fn with(describe: impl FnOnce(SessionBuilder) -> SessionBuilder) -> Self {
        let clock = ManualClock::new();
        let audit = Arc::new(InMemoryAudit::default());
        let session = SessionContext::builder().clock(Arc::new(clock.clone())).audit(Arc::clone(&audit) as _);
        let session = describe(session).build();
        let endpoint = CredentialEndpoint::start_with_clock(Arc::new(clock.clone())).await.unwrap();
        let account = session.account(session.default_account()).unwrap();
        let grant = endpoint.grant(account, "reader", Leash::default());
        Self { clock, session, audit, endpoint, grant, _held_time: hold_time() }
    }

    /// A set that lives an hour from now on.
    pub(super) fn keys(&self, name: &str) -> Credentials {
        temporary(name, self.clock.now() + Duration::from_secs(3600))
    }

    pub(super) fn set(&self, name: &str) {
        self.session.set_credentials(self.keys(name)).unwrap();
    }

    /// As an SDK asks.
    pub(super) async fn ask(&self) -> Answer {
        ask(&self.grant).await
    }

    /// The last four characters of the key id that is served now.
    pub(super) async fn key(&self) -> String {
        self.ask().await.key()
    }

    /// `METHOD` to the grant's path with these header lines, and no others.
    pub(super) async fn send(&self, method: &str, headers: &[String]) -> Answer {
        let (_, path) = place(&self.grant.url());
        send(&self.address(), &format!("{method} {path} HTTP/1.1"), headers).await
    }

    pub(super) fn address(&self) -> String {
        place(&self.grant.url()).0
    }

    /// The headers of a well-behaved client.
    pub(super) fn headers(&self) -> Vec<String> {
        vec![format!("Host: {}", self.address()), format!("Authorization: {}", self.grant.expose_token())]
    }

    pub(super) fn recorded(&self, event: AuditEvent) -> usize {
        let records = self.audit.records();
        records
            .iter()
            .filter(|record| record.event == event && record.party.as_deref() == Some("reader"))
            .count()
    }
}

impl Answer {
    pub(super) fn key(&self) -> String {
        let id = self.body["AccessKeyId"].as_str().unwrap_or_else(|| panic!("{} {}", self.status, self.body));
        id[id.len() - 4..].to_owned()
    }
}

pub(super) async fn ask(grant: &Grant) -> Answer {
    ask_as(grant, grant.expose_token()).await
}

/// Asks at one grant's address with another's token.
pub(super) async fn ask_as(grant: &Grant, token: &str) -> Answer {
    let (address, path) = place(&grant.url());
    let headers = [format!("Host: {address}"), format!("Authorization: {token}")];
    send(&address, &format!("GET {path} HTTP/1.1"), &headers).await
}

pub(super) async fn send(address: &str, line: &str, headers: &[String]) -> Answer {
    let text = exchange(address, line, headers).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {line}: {text}"));
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

async fn exchange(address: &str, line: &str, headers: &[String]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    stream.write_all(format!("{line}\r\n{head}\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Paused time moves on its own when nothing is to be done, and takes waiting for a socket for that. Not while a blocking
/// task runs: with this one it stands still until the sender is dropped.
fn hold_time() -> Sender<()> {
    let (release, released) = channel::<()>();
    tokio::task::spawn_blocking(move || released.recv());
    release
}

/// Address and path of a URL.
pub(super) fn place(url: &str) -> (String, String) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (address.to_owned(), format!("/{path}"))
}
