//! `object_store`: its `TokenCache` is private, and is reached through the public `AmazonS3::credentials()` of a store
//! that is configured for a container's credentials. An HTTP connector in memory responds as the container agent,
//! without a socket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientOptions, RetryConfig};
use serde_json::json;

use crate::Result;
use crate::fake_source::{Upstream, UpstreamResponse};
use crate::subject::{Peer, Subject};

pub(crate) struct ObjectStorePeer(AwsCredentialProvider);

impl Subject for ObjectStorePeer {
    type Fetched = Arc<AwsCredential>;
    type FetchError = object_store::Error;

    async fn fetch(&self) -> std::result::Result<Arc<AwsCredential>, object_store::Error> {
        self.0.get_credential().await
    }
}

impl Peer for ObjectStorePeer {
    const NAME: &'static str = "object_store";
    // It requires a remaining lifetime of 300 s, except for 100 ms after a fetch.
    const STALE_LIFETIME: Option<Duration> = Some(Duration::from_secs(200));
    const SETTLE_TIME: Duration = Duration::from_millis(150);

    async fn setup(upstream: Upstream) -> Result<Self> {
        let store = AmazonS3Builder::new()
            .with_bucket_name("bucket")
            .with_region("us-east-1")
            .with_config(AmazonS3ConfigKey::ContainerCredentialsRelativeUri, "/credentials")
            .with_http_connector(ContainerAgent(upstream))
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()?;
        Ok(Self(Arc::clone(store.credentials())))
    }
}

/// The container agent, in memory.
#[derive(Clone, Debug)]
struct ContainerAgent(Upstream);

impl HttpConnector for ContainerAgent {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for ContainerAgent {
    async fn call(&self, _request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let unknown = |error: Box<dyn std::error::Error + Send + Sync>| {
            HttpError::new_boxed(HttpErrorKind::Unknown, error)
        };
        let answer = self.0.call().await.map_err(|refused| unknown(refused.into()))?;
        let document = credentials_json(&answer).map_err(unknown)?;
        Ok(HttpResponse::new(document.into()))
    }
}

/// Creates the response of a container agent.
fn credentials_json(answer: &UpstreamResponse) -> Result<String> {
    let expiration = DateTime::from(answer.expires_at).fmt(Format::DateTime)?;
    let document = json!({
        "AccessKeyId": answer.payload.key_id,
        "SecretAccessKey": answer.payload.secret,
        "Token": answer.payload.token,
        "Expiration": expiration,
    });
    Ok(document.to_string())
}
