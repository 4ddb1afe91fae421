//! A client configuration that counts the requests over the real HTTP client, by operation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use valetkey_backends::AwsClientConfig;

use super::client_config_at;

/// Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct RequestCounter {
    inner: SharedHttpClient,
    counts: Arc<Mutex<BTreeMap<String, usize>>>,
}

#[derive(Debug)]
struct CountingConnector {
    connector: SharedHttpConnector,
    counter: RequestCounter,
}

impl RequestCounter {
    /// The base at `url`, and its counter.
    pub(crate) fn client_config_at(url: &str) -> (AwsClientConfig, Self) {
        let base = client_config_at(url);
        let counted = Self { inner: base.config().http_client().unwrap(), counts: Arc::default() };
        (AwsClientConfig::from(base.config().to_builder().http_client(counted.clone()).build()), counted)
    }

    /// How often a service was called whose requests name no operation in a header, such as STS.
    pub(crate) fn unnamed_calls(&self) -> usize {
        self.counts.lock().unwrap().get("").copied().unwrap_or_default()
    }

    /// How often `operation` of Secrets Manager was called.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        let target = format!("secretsmanager.{operation}");
        self.counts.lock().unwrap().get(&target).copied().unwrap_or_default()
    }
}

impl HttpClient for RequestCounter {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(CountingConnector { connector, counter: self.clone() })
    }
}

impl HttpConnector for CountingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        *self.counter.counts.lock().unwrap().entry(target).or_default() += 1;
        self.connector.call(request)
    }
}
