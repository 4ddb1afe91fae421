//! A client that writes raw HTTP, and an endpoint with one session.

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
use valetkey_mcp::endpoint::{AdvertisedExpiry, Grant};

use crate::keys::keys_expiring_at;

/// An endpoint and a session on one clock, and a grant for the session's account.
pub(super) struct EndpointFixture {
    pub(super) clock: ManualClock,
    pub(super) session: SessionContext,
    pub(super) audit: Arc<InMemoryAudit>,
    pub(super) endpoint: CredentialEndpoint,
    pub(super) grant: Grant,
    /// If time is paused, only the test advances it.
    _time_hold: Sender<()>,
}

pub(super) struct EndpointResponse {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl EndpointFixture {
    pub(super) async fn new() -> Self {
        Self::with_builder(|session| session).await
    }

    pub(super) async fn with_builder(describe: impl FnOnce(SessionBuilder) -> SessionBuilder) -> Self {
        let clock = ManualClock::new();
        let audit = Arc::new(InMemoryAudit::default());
        let session = SessionContext::builder().clock(Arc::new(clock.clone())).audit(Arc::clone(&audit) as _);
        let session = describe(session).build();
        let endpoint = CredentialEndpoint::start_with_clock(Arc::new(clock.clone())).await.unwrap();
        let account = session.account(session.default_account()).unwrap();
        let grant = endpoint.grant(account, "reader", AdvertisedExpiry::default());
        Self { clock, session, audit, endpoint, grant, _time_hold: stop_paused_time() }
    }

    /// Returns credentials that expire an hour from now.
    pub(super) fn keys_for_an_hour(&self, name: &str) -> Credentials {
        keys_expiring_at(name, self.clock.now() + Duration::from_secs(3600))
    }

    pub(super) fn set_credentials(&self, name: &str) {
        self.session.set_credentials(self.keys_for_an_hour(name)).unwrap();
    }

    /// Fetches credentials as an SDK does.
    pub(super) async fn fetch(&self) -> EndpointResponse {
        fetch_with_grant(&self.grant).await
    }

    /// Fetches credentials and returns the last four characters of their key id.
    pub(super) async fn fetch_key(&self) -> String {
        self.fetch().await.key_suffix()
    }

    /// Sends a request to the grant's path with exactly these header lines.
    pub(super) async fn send_to_grant(&self, method: &str, headers: &[String]) -> EndpointResponse {
        let (_, path) = address_and_path(&self.grant.url());
        send_request(&self.address(), &format!("{method} {path} HTTP/1.1"), headers).await
    }

    pub(super) fn address(&self) -> String {
        address_and_path(&self.grant.url()).0
    }

    /// Returns the headers of a valid request.
    pub(super) fn headers(&self) -> Vec<String> {
        vec![format!("Host: {}", self.address()), format!("Authorization: {}", self.grant.expose_token())]
    }

    pub(super) fn count_records(&self, event: AuditEvent) -> usize {
        let records = self.audit.records();
        records
            .iter()
            .filter(|record| record.event == event && record.component.as_deref() == Some("reader"))
            .count()
    }
}

impl EndpointResponse {
    pub(super) fn key_suffix(&self) -> String {
        let id = self.body["AccessKeyId"].as_str().unwrap_or_else(|| panic!("{} {}", self.status, self.body));
        id[id.len() - 4..].to_owned()
    }
}

pub(super) async fn fetch_with_grant(grant: &Grant) -> EndpointResponse {
    fetch_with_token(grant, grant.expose_token()).await
}

/// Sends a request to the address of `grant` with another token.
pub(super) async fn fetch_with_token(grant: &Grant, token: &str) -> EndpointResponse {
    let (address, path) = address_and_path(&grant.url());
    let headers = [format!("Host: {address}"), format!("Authorization: {token}")];
    send_request(&address, &format!("GET {path} HTTP/1.1"), &headers).await
}

pub(super) async fn send_request(address: &str, line: &str, headers: &[String]) -> EndpointResponse {
    let text = exchange(address, line, headers).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response to {line}: {text}"));
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    EndpointResponse {
        status,
        head: head.to_lowercase(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}

async fn exchange(address: &str, line: &str, headers: &[String]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    stream.write_all(format!("{line}\r\n{head}\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Stops the automatic advance of paused time until the sender is dropped. Paused time advances whenever all tasks
/// are idle, including while they wait for a socket, but not while a blocking task runs.
fn stop_paused_time() -> Sender<()> {
    let (release, released) = channel::<()>();
    tokio::task::spawn_blocking(move || released.recv());
    release
}

/// Splits a URL into address and path.
pub(super) fn address_and_path(url: &str) -> (String, String) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (address.to_owned(), format!("/{path}"))
}
