//! The HTTP client that all AWS clients of a configuration share: one connection pool and the same trust roots.

use std::net::{IpAddr, Ipv6Addr};

use ::http::Uri;
use aws_credential_types::provider::error::TokenError;
use aws_credential_types::provider::future;
use aws_credential_types::provider::token::ProvideToken;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Creates a client that connects directly to the endpoint.
pub(super) fn without_proxy() -> SharedHttpClient {
    build_client(ProxyConfig::disabled)
}

/// Creates a client that uses the proxies of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, except for local addresses.
pub(super) fn with_proxy() -> SharedHttpClient {
    SharedHttpClient::new(LocalProxyBypass {
        direct: without_proxy(),
        proxied: build_client(ProxyConfig::from_env),
    })
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

/// Connects directly to loopback and link-local addresses, regardless of `NO_PROXY`. The services there issue
/// credentials, and requests to them contain a token; a proxy must see neither.
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
        let connector = if is_local(request.uri()) { &self.direct } else { &self.proxied };
        connector.call(request)
    }
}

/// Returns whether the host of a URL is `localhost`, a loopback address, a link-local address (of the metadata service
/// and the container agents), or in the IPv6 range of the same services.
fn is_local(url: &str) -> bool {
    let uri = url.parse::<Uri>();
    let Some(host) = uri.as_ref().ok().and_then(Uri::host) else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    match host.parse() {
        Ok(address) => is_local_address(address),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn is_local_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unicast_link_local() || is_instance_service(address)
        }
    }
}

/// Matches `fd00:ec2::254` (instance metadata) and `fd00:ec2::23` (pod identity).
fn is_instance_service(address: Ipv6Addr) -> bool {
    address.segments()[..2] == [0xfd00, 0x0ec2]
}

/// A token provider that always fails, so that the SDK loads no bearer token of the host. With single sign-on compiled in,
/// the SDK would otherwise look for a token, and for its region in the instance metadata service.
#[derive(Debug)]
pub(super) struct DisabledTokenProvider;

impl ProvideToken for DisabledTokenProvider {
    fn provide_token<'a>(&'a self) -> future::ProvideToken<'a>
    where
        Self: 'a,
    {
        future::ProvideToken::ready(Err(TokenError::not_loaded("the client configuration has no identity")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_local_loopback_or_link_local_url_is_true() {
        for url in [
            "http://127.0.0.1:8080/creds",
            "http://127.9.9.9/",
            "http://localhost/x",
            "http://LOCALHOST.:1/",
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.2/v2/credentials",
            "http://169.254.170.23/v1/credentials",
            "http://[::1]:8080/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/latest/",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            assert!(is_local(url), "{url}");
        }
    }

    #[test]
    fn is_local_other_url_is_false() {
        for url in [
            "https://sts.us-east-1.amazonaws.com/",
            "http://10.0.0.1/",
            "http://192.168.1.1/",
            "http://[fd00:ec3::254]/",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "http://169.253.1.1/",
            "http://user@example.com:1/127.0.0.1",
            "not a url",
            "",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }
}
