//! `HttpsClient`: requests over TLS, directly or through the proxy that the environment names. Redirects are not followed.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs::default_provider;
use valetkey_core::{Error, ErrorKind, Result};

/// Limit on the time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that vanishes during a long response is noticed after a few of these.
const KEEPALIVE: Duration = Duration::from_secs(60);

type DirectConnector = HttpsConnector<HttpConnector>;

/// A client for one host. The certificate of the server must be trusted by the machine.
///
/// A proxy sees no more than the host: the connection through it is encrypted. A loopback address is always reached
/// directly.
///
/// Connections are kept for later requests. There is no limit on the time until a response: the caller sets one.
pub(crate) enum HttpsClient {
    Direct(Box<Client<DirectConnector, Full<Bytes>>>),
    Proxied(Box<Client<HttpsConnector<Tunnel<DirectConnector>>, Full<Bytes>>>),
}

impl HttpsClient {
    /// Creates a client for the host of `url`, which goes through the proxy that `proxies` has for it.
    ///
    /// # Errors
    /// `Internal` when the certificates that the machine trusts cannot be read.
    pub(crate) fn new(url: &Uri, proxies: &Matcher) -> Result<Self> {
        let proxy = proxies.intercept(url).filter(|_| !is_loopback(url));
        Self::connect(proxy.as_ref()).map_err(|error| {
            Error::new(ErrorKind::Internal, "the trusted certificates cannot be read").with_source(error)
        })
    }

    fn connect(proxy: Option<&Intercept>) -> std::io::Result<Self> {
        let tls = || HttpsConnectorBuilder::new().with_provider_and_native_roots(default_provider());
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(KEEPALIVE));
        let direct = tls()?.https_or_http().enable_http1().wrap_connector(connector);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        let Some(proxy) = proxy else {
            return Ok(Self::Direct(Box::new(builder.build(direct))));
        };
        let tunnel = Tunnel::new(proxy.uri().clone(), direct);
        let tunnel = match proxy.basic_auth() {
            Some(auth) => tunnel.with_auth(auth.clone()),
            None => tunnel,
        };
        let connector = tls()?.https_or_http().enable_http1().wrap_connector(tunnel);
        Ok(Self::Proxied(Box::new(builder.build(connector))))
    }

    /// Sends a request, and returns the response when its head has arrived.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the request, which the server may have received.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> std::result::Result<Response<Incoming>, ClientError> {
        match self {
            Self::Direct(client) => client.request(request).await,
            Self::Proxied(client) => client.request(request).await,
        }
    }
}

/// Whether the host is this machine, which may be reached without encryption.
pub(crate) fn is_loopback(url: &Uri) -> bool {
    matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}
