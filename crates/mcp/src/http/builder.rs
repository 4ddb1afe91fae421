//! `HttpGatewayBuilder`: the names and limits of a gateway.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use valetkey_core::{Error, RegistryBuilder, Result, SessionRegistry};

use super::HttpGateway;
use super::auth::Authenticator;
use super::live_config::LiveConfigCell;
use super::monitor::GatewayMonitor;
use super::protocol_sessions::RecordLimits;
use super::quota::QuotaLimits;
use super::session_factory::SessionFactory;
use super::shared::SharedSessions;
use super::site::Site;
use super::tls::TlsIdentity;
use crate::{AccessRequests, ProcessQuota};

/// Configures an [`HttpGateway`]. Created by [`HttpGateway::builder`].
///
/// | setting | meaning | default |
/// |---|---|---|
/// | [`public_url`](Self::public_url) | the URL of the MCP endpoint as clients know it | the address of the listener |
/// | [`tls`](Self::tls) | the certificate with which it encrypts | it does not encrypt |
/// | [`allow_host`](Self::allow_host) | additional names in `Host` | none |
/// | [`allow_origin`](Self::allow_origin) | additional values of `Origin` | none |
/// | [`sessions`](Self::sessions) | limits of credential sessions | those of [`RegistryBuilder`] |
/// | [`shared_sessions`](Self::shared_sessions) | the store of sessions that several gateways serve | none |
/// | [`process_quota`](Self::process_quota) | limits of server processes | those of [`ProcessLimits`](crate::ProcessLimits) |
/// | [`access_requests`](Self::access_requests) | the requests for access that an operator can decide about | none |
/// | [`max_requests`](Self::max_requests) | requests in progress | 1,024 |
/// | [`max_requests_per_principal`](Self::max_requests_per_principal) | those of one principal | 256 |
/// | [`max_protocol_sessions_per_principal`](Self::max_protocol_sessions_per_principal) | sessions of its legacy clients | 1,000 |
///
/// # Examples
/// ```
/// use valetkey_core::{Result, SessionRegistry};
/// use valetkey_mcp::http::{HttpGateway, HttpGatewayBuilder};
///
/// /// A gateway for clients that reach it through a proxy.
/// fn behind_proxy(builder: HttpGatewayBuilder) -> Result<HttpGateway> {
///     let sessions = SessionRegistry::builder().max_sessions_per_principal(8);
///     Ok(builder.public_url("https://mcp.example.com/mcp")?.sessions(sessions).max_requests(4_096).build())
/// }
/// ```
#[must_use]
pub struct HttpGatewayBuilder {
    pub(super) live: LiveConfigCell,
    pub(super) site: Site,
    pub(super) tls: Option<TlsIdentity>,
    pub(super) registry: RegistryBuilder,
    pub(super) quotas: QuotaLimits,
    pub(super) records: RecordLimits,
    pub(super) process_quota: ProcessQuota,
    pub(super) shared: Option<SharedSessions>,
    pub(super) access_requests: Option<AccessRequests>,
    pub(super) monitor: GatewayMonitor,
}

impl HttpGatewayBuilder {
    pub(super) fn new(factory: Arc<dyn SessionFactory>, authenticator: Authenticator) -> Self {
        Self {
            live: LiveConfigCell::new(factory, authenticator),
            site: Site::default(),
            tls: None,
            registry: SessionRegistry::builder(),
            quotas: QuotaLimits { per_principal: 256, total: 1_024 },
            records: RecordLimits { per_principal: 1_000, total: 10_000 },
            process_quota: ProcessQuota::default(),
            shared: None,
            access_requests: None,
            monitor: GatewayMonitor::default(),
        }
    }

    /// Sets the URL of the MCP endpoint as clients know it, if they reach it through a proxy (default: the address of
    /// the listener). URLs in responses are made from it, and never from headers of a request.
    ///
    /// # Errors
    /// `Invalid` when it is not an absolute `https` URL (`http` on a loopback address).
    pub fn public_url(mut self, url: &str) -> Result<Self> {
        self.site.set_public_url(url)?;
        Ok(self)
    }

    /// Encrypts connections with this identity (default: they are not encrypted). Without it, or without authentication,
    /// the gateway listens on a loopback address only.
    pub fn tls(mut self, identity: TlsIdentity) -> Self {
        self.tls = Some(identity);
        self
    }

    /// Accepts requests whose `Host` is `host`, with or without a port (default: the addresses of the listener and of
    /// the public URL).
    pub fn allow_host(mut self, host: &str) -> Self {
        self.site.allow_host(host);
        self
    }

    /// Accepts requests of pages of this origin, such as `https://app.example.com` (default: none but the gateway's
    /// own).
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.site.allow_origin(origin);
        self
    }

    /// Sets the limits of credential sessions (default: those of [`RegistryBuilder`]).
    pub fn sessions(mut self, registry: RegistryBuilder) -> Self {
        self.registry = registry;
        self
    }

    /// Keeps the sessions that `create_credential_session` opens in a store that other gateways share (default: this
    /// gateway alone has them). Any of these gateways then serves such a session to a request with its handle.
    ///
    /// Each response then has a header `Valetkey-Node`, which identifies the gateway until it stops. Server processes
    /// belong to one gateway, so a balancer should send the requests of a session to one gateway while it lives: by a
    /// consistent hash of the header `Valetkey-Session`.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::Result;
    /// use valetkey_mcp::http::{HttpGatewayBuilder, SharedSessions};
    /// use valetkey_store::{KeyRing, SessionStore};
    ///
    /// /// A gateway whose ring is in a variable of the environment.
    /// fn of_fleet(gateway: HttpGatewayBuilder, store: impl SessionStore + 'static) -> Result<HttpGatewayBuilder> {
    ///     let ring = KeyRing::from_env("VALETKEY_KEY_RING")?;
    ///     Ok(gateway.shared_sessions(SharedSessions::new(store, ring)))
    /// }
    /// ```
    pub fn shared_sessions(mut self, shared: SharedSessions) -> Self {
        self.shared = Some(shared);
        self
    }

    /// Sets how many requests and streams of one principal may be in progress (default: 256). More are refused.
    pub fn max_requests_per_principal(mut self, requests: usize) -> Self {
        self.quotas.per_principal = requests;
        self
    }

    /// Sets how many requests and streams may be in progress in total (default: 1,024). More are refused.
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.quotas.total = requests;
        self
    }

    /// Sets the limits of server processes, for a session, for a principal and in total (default: those of
    /// [`ProcessLimits`](crate::ProcessLimits)). The processes that list the tools of the catalog do not count.
    pub fn process_quota(mut self, quota: ProcessQuota) -> Self {
        self.process_quota = quota;
        self
    }

    /// Lists requests for access, so that an operator can decide about them (default: only the person at the client
    /// decides). A client that cannot show a form then waits for the operator.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::AccessRequests;
    /// use valetkey_mcp::http::HttpGatewayBuilder;
    ///
    /// fn with_operator(gateway: HttpGatewayBuilder) -> (HttpGatewayBuilder, AccessRequests) {
    ///     let requests = AccessRequests::new();
    ///     (gateway.access_requests(requests.clone()), requests)
    /// }
    /// ```
    pub fn access_requests(mut self, requests: AccessRequests) -> Self {
        self.access_requests = Some(requests);
        self
    }

    /// Sets how many protocol sessions of legacy clients one principal may have (default: 1,000). The least recently
    /// used one ends for another one.
    pub fn max_protocol_sessions_per_principal(mut self, sessions: usize) -> Self {
        self.records.per_principal = sessions;
        self
    }

    /// Fails for an address that exposes tokens, or the authority of a principal, to other machines.
    pub(super) fn check_address(&self, address: SocketAddr) -> Result<()> {
        let is_protected = self.tls.is_some() && !self.live.current().authenticator.is_anonymous();
        if !address.ip().is_loopback() && !is_protected {
            return Err(Error::invalid("http", "must be a loopback address, such as `127.0.0.1:7070`").with_next_step(
                "configure a certificate and tokens; or let a reverse proxy that encrypts forward to it, and set \
                 `public_url`",
            ));
        }
        if address.ip().is_unspecified() && !self.site.has_public_url() {
            return Err(Error::invalid(
                "http",
                "is every address of this machine, which is no URL for clients",
            )
            .with_next_step("set `public_url`, or listen on one address"));
        }
        Ok(())
    }

    /// Builds the gateway.
    #[must_use]
    pub fn build(self) -> HttpGateway {
        HttpGateway(self)
    }
}

impl fmt::Debug for HttpGatewayBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpGatewayBuilder").finish_non_exhaustive()
    }
}
