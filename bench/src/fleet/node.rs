//! `BenchNode`: a gateway in this process, with sessions of its own or in a store.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use valetkey_core::{CredentialProvider, SessionContext, SessionRegistry};
use valetkey_mcp::McpHostBuilder;
use valetkey_mcp::http::{
    Authenticator, HttpGateway, NewSession, SessionFactory, SharedSessions, VerifiedCaller,
};
use valetkey_tools::ToolSet;

use super::client::ToolClient;
use crate::Result;

/// More than a measure opens.
const MAX_SESSIONS: usize = 100_000;
/// Operations that follow the changes of other nodes. No call waits for them.
const BACKGROUND: [&str; 2] = ["position", "events_since"];

/// The sessions of a node, with or without a provider.
struct Sessions(Option<Arc<dyn CredentialProvider>>);

impl SessionFactory for Sessions {
    fn new_session(&self, _: &VerifiedCaller) -> valetkey_core::Result<NewSession> {
        let builder = SessionContext::builder();
        let builder = match &self.0 {
            Some(provider) => builder.provider(Arc::clone(provider)),
            None => builder,
        };
        Ok(NewSession::new(builder, |session| Ok(ToolSet::for_session(session.clone()))))
    }

    fn host(&self, _: &SessionContext) -> Option<McpHostBuilder> {
        None
    }

    fn configuration(&self) -> Option<String> {
        Some("bench".to_owned())
    }
}

/// A running gateway.
pub(crate) struct BenchNode {
    address: SocketAddr,
    shared: Option<SharedSessions>,
    serving: JoinHandle<valetkey_core::Result<()>>,
    stop: CancellationToken,
}

impl BenchNode {
    pub(crate) async fn start(
        shared: Option<SharedSessions>,
        provider: Option<Arc<dyn CredentialProvider>>,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let authenticator = Authenticator::none("bench".parse()?);
        let registry =
            SessionRegistry::builder().max_sessions(MAX_SESSIONS).max_sessions_per_principal(MAX_SESSIONS);
        let gateway = HttpGateway::builder(Sessions(provider), authenticator).sessions(registry);
        let gateway = shared.iter().cloned().fold(gateway, |gateway, shared| gateway.shared_sessions(shared));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(gateway.build().serve(listener, stop.clone()));
        while shared.as_ref().is_some_and(|shared| shared.status().unreachable_for.is_some()) {
            tokio::task::yield_now().await;
        }
        Ok(Self { address, shared, serving, stop })
    }

    pub(crate) const fn client(&self) -> ToolClient {
        ToolClient::new(self.address, None)
    }

    /// Returns how many operations of the store its calls have made.
    pub(crate) fn operations(&self) -> u64 {
        self.count(|name| !BACKGROUND.contains(&name))
    }

    /// Returns how often it has read the events of the store.
    pub(crate) fn event_reads(&self) -> u64 {
        self.count(|name| name == "events_since")
    }

    fn count(&self, is_counted: impl Fn(&str) -> bool) -> u64 {
        let operations = self.shared.iter().flat_map(|shared| shared.status().operations);
        operations.filter(|(name, _)| is_counted(name)).map(|(_, operation)| operation.calls).sum()
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.serving.await??)
    }
}
