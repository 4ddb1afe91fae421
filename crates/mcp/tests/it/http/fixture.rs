//! A gateway with two principals, alice and bob, and clients of either era.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use valetkey_core::audit::{AuditSink, InMemoryAudit};
use valetkey_core::{AccountName, RegistryBuilder, Result, SessionBuilder, SessionContext, SessionRegistry};
use valetkey_mcp::child::Delivery;
use valetkey_mcp::config::ServerConfig;
use valetkey_mcp::http::{
    Authenticator, GatewayReloader, HttpGateway, HttpGatewayBuilder, NewSession, SessionFactory,
    VerifiedCaller,
};
use valetkey_mcp::{McpHost, McpHostBuilder};
use valetkey_tools::ToolSet;

use super::client_fixture::HttpClientFixture;
use crate::host_fixture::{fixture_server, host_environment, mcp_config};

pub(crate) const ALICE: &str = "token-of-alice";
pub(crate) const BOB: &str = "token-of-bob";
/// `printf %s token-of-alice | sha256sum`
pub(crate) const ALICE_SHA256: &str = "19c28a50b1a09097592e7ceddb7e0771ff4d469747541a7536579eef857e05ce";
pub(crate) const BOB_SHA256: &str = "800480042268218663feef3ea54d81ed3f976c98c38d5fd7afbe22810ec16334";

/// Sessions with one account without a provider, and these servers.
pub(crate) struct SessionFactoryFixture {
    pub(crate) servers: Vec<(&'static str, ServerConfig)>,
    /// The principal whose sessions are closed when this factory replaces another one.
    pub(crate) revoked: Option<&'static str>,
    pub(crate) list_budget: Duration,
    pub(crate) audit: Option<Arc<InMemoryAudit>>,
}

/// A long budget, because test machines may be slow.
pub(crate) const LIST_BUDGET: Duration = Duration::from_secs(120);

impl SessionFactoryFixture {
    pub(crate) fn without_servers() -> Self {
        Self { servers: Vec::new(), revoked: None, list_budget: LIST_BUDGET, audit: None }
    }
}

impl SessionFactory for SessionFactoryFixture {
    fn new_session(&self, _: &VerifiedCaller) -> Result<NewSession> {
        let builder = SessionContext::builder().region("eu-central-1".parse().unwrap());
        let sink = self.audit.iter().map(|audit| Arc::clone(audit) as Arc<dyn AuditSink>);
        let builder = sink.fold(builder, SessionBuilder::audit);
        Ok(NewSession::new(builder, |session| Ok(ToolSet::for_session(session.clone()))))
    }

    fn keeps_sessions(&self, caller: &VerifiedCaller) -> bool {
        self.revoked != Some(caller.principal().as_str())
    }

    fn host(&self, session: &SessionContext) -> Option<McpHostBuilder> {
        let mut config = mcp_config([]);
        config.servers.extend(self.servers.iter().map(|(name, server)| ((*name).to_owned(), server.clone())));
        let host = McpHost::builder(session, config).environment(host_environment());
        Some(host.list_budget(self.list_budget))
    }

    fn accounts(&self, caller: &VerifiedCaller) -> Vec<AccountName> {
        let names: &[&str] =
            if caller.principal().as_str() == "alice" { &["blue", "green"] } else { &["default"] };
        names.iter().map(|name| name.parse().unwrap()).collect()
    }
}

/// A gateway that serves in a background task.
pub(crate) struct HttpGatewayFixture {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<Result<()>>,
    pub(crate) reloader: GatewayReloader,
}

impl HttpGatewayFixture {
    /// Starts a gateway without servers.
    pub(crate) async fn start() -> Self {
        Self::start_with(Vec::new(), tokens(), |gateway| gateway).await
    }

    /// Starts a gateway with the fixture server.
    pub(crate) async fn with_server() -> Self {
        Self::start_with(vec![("fixture", fixture_server(Delivery::Endpoint))], tokens(), |gateway| gateway)
            .await
    }

    pub(crate) async fn start_with(
        servers: Vec<(&'static str, ServerConfig)>,
        authenticator: Authenticator,
        configure: impl FnOnce(HttpGatewayBuilder) -> HttpGatewayBuilder,
    ) -> Self {
        let sessions = SessionFactoryFixture { servers, ..SessionFactoryFixture::without_servers() };
        Self::start_sessions(sessions, authenticator, configure).await
    }

    pub(crate) async fn start_sessions(
        sessions: impl SessionFactory,
        authenticator: Authenticator,
        configure: impl FnOnce(HttpGatewayBuilder) -> HttpGatewayBuilder,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let gateway = configure(HttpGateway::builder(sessions, authenticator)).build();
        let reloader = gateway.reloader();
        let serving = tokio::spawn(gateway.serve(listener, stop.clone()));
        Self { address, stop, serving, reloader }
    }

    /// Returns a client that identifies itself in every request.
    pub(crate) fn modern(&self, token: &str) -> HttpClientFixture {
        HttpClientFixture::new(self.address, Some(token))
    }

    /// Returns a client with a protocol session.
    pub(crate) async fn legacy(&self, token: &str) -> HttpClientFixture {
        let mut client = HttpClientFixture::new(self.address, Some(token));
        client.initialize().await;
        client
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// Returns an authenticator that knows the tokens of alice and bob.
pub(crate) fn tokens() -> Authenticator {
    let tokens = Authenticator::bearer().token(ALICE_SHA256, "alice".parse().unwrap()).unwrap();
    tokens.token(BOB_SHA256, "bob".parse().unwrap()).unwrap()
}

pub(crate) fn registry() -> RegistryBuilder {
    SessionRegistry::builder()
}
