//! The HTTP client that all AWS clients of a base share: one pool of connections, one reading of the trust roots.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use super::local;

/// Straight to the endpoint.
pub(super) fn without_proxy() -> SharedHttpClient {
    build_client(ProxyConfig::disabled)
}

/// Through the proxies that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of this process name, except to this machine.
pub(super) fn with_proxy() -> SharedHttpClient {
    SharedHttpClient::new(LocalProxyBypass { direct: without_proxy(), proxied: build_client(ProxyConfig::from_env) })
}

fn build_client(proxies: fn() -> ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector =
            Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).proxy_config(proxies());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// Connects directly to loopback and link-local addresses, whatever `NO_PROXY` says. The services there hand out
/// credentials, and a request to them carries a token; a proxy must see neither.
#[derive(Debug)]
struct LocalProxyBypass<T> {
    direct: T,
    proxied: T,
}

impl HttpClient for LocalProxyBypass<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(LocalProxyBypass {
            direct: self.direct.http_connector(settings, components),
            proxied: self.proxied.http_connector(settings, components),
        })
    }
}

impl HttpConnector for LocalProxyBypass<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = if local::is_local(request.uri()) { &self.direct } else { &self.proxied };
        connector.call(request)
    }
}
