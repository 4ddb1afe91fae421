//! The HTTP client that all AWS clients of a base share: one pool of connections, one reading of the trust roots.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// Straight to the endpoint.
pub(super) fn direct() -> SharedHttpClient {
    build(ProxyConfig::disabled)
}

/// Through the proxies that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of this process name.
pub(super) fn through_proxies() -> SharedHttpClient {
    build(ProxyConfig::from_env)
}

fn build(proxies: fn() -> ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector =
            Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).proxy_config(proxies());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}
