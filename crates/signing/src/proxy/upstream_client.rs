//! `UpstreamClient`: pooled connections to services, directly or through the HTTP proxy of the environment.

use std::time::Duration;

use http::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::{Builder, Client, ResponseFuture};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs::default_provider;
use secrecy::ExposeSecret;
use valetkey_core::{Error, ErrorKind, Result};

use super::server::MAX_BUFFER;
use super::settings::HttpsProxy;
use crate::payload::ForwardedBody;

/// Limit on the time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type DirectConnector = HttpsConnector<HttpConnector>;

/// Sends requests over HTTP/1.1 or HTTP/2. Redirects are not followed.
///
/// The certificate of a service must be trusted by the machine, also behind a proxy: the connection through it is
/// encrypted, so it sees no more than the host.
pub(super) struct UpstreamClient {
    direct: Client<DirectConnector, ForwardedBody>,
    proxied: Option<ProxiedClient>,
}

struct ProxiedClient {
    proxies: Matcher,
    client: Client<HttpsConnector<Tunnel<DirectConnector>>, ForwardedBody>,
}

impl UpstreamClient {
    /// # Errors
    /// `Internal` if the certificates that the machine trusts cannot be read.
    pub(super) fn new(proxy: Option<&HttpsProxy>) -> Result<Self> {
        Self::with_proxy(proxy).map_err(|error| {
            Error::new(ErrorKind::Internal, "the trusted certificates cannot be read").with_source(error)
        })
    }

    fn with_proxy(proxy: Option<&HttpsProxy>) -> std::io::Result<Self> {
        let connector = tls_builder()?.https_or_http().enable_http1().enable_http2();
        let direct = client_builder().build(connector.wrap_connector(tcp_connector()));
        let proxied = proxy.map(ProxiedClient::new).transpose()?.flatten();
        Ok(Self { direct, proxied })
    }

    /// Sends a request. The response is returned when its head has arrived.
    pub(super) fn request(&self, request: Request<ForwardedBody>) -> ResponseFuture {
        match self.proxied.as_ref().filter(|proxied| proxied.applies_to(request.uri())) {
            Some(proxied) => proxied.client.request(request),
            None => self.direct.request(request),
        }
    }
}

impl ProxiedClient {
    fn new(proxy: &HttpsProxy) -> std::io::Result<Option<Self>> {
        let url = proxy.url.expose_secret();
        let proxies = Matcher::builder().https(url).no(proxy.exceptions.clone()).build();
        // Without the exceptions, every host goes through the proxy.
        let every_host = Matcher::builder().https(url).build();
        let Some(proxy) = every_host.intercept(&Uri::from_static("https://amazonaws.com")) else {
            return Ok(None);
        };
        let tunnel = tls_builder()?.https_or_http().enable_http1().wrap_connector(tcp_connector());
        let tunnel = with_auth(Tunnel::new(proxy.uri().clone(), tunnel), &proxy);
        let connector = tls_builder()?.https_only().enable_http1().enable_http2().wrap_connector(tunnel);
        Ok(Some(Self { proxies, client: client_builder().build(connector) }))
    }

    /// Whether a request goes through the proxy: one to an `https` endpoint that is no exception and not on this machine.
    fn applies_to(&self, uri: &Uri) -> bool {
        let is_loopback = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        !is_loopback && self.proxies.intercept(uri).is_some()
    }
}

fn with_auth<C>(tunnel: Tunnel<C>, proxy: &Intercept) -> Tunnel<C> {
    match proxy.basic_auth() {
        Some(auth) => tunnel.with_auth(auth.clone()),
        None => tunnel,
    }
}

fn tls_builder() -> std::io::Result<HttpsConnectorBuilder<hyper_rustls::builderstates::WantsSchemes>> {
    HttpsConnectorBuilder::new().with_provider_and_native_roots(default_provider())
}

fn tcp_connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector
}

fn client_builder() -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).http1_max_buf_size(MAX_BUFFER);
    builder
}
