//! A request that a client sends again as it is.

use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use valetkey_core::{Credentials, SessionContext};
use valetkey_signing::{ProxySettings, Rules, SigningProxy};

use crate::request_fixture::{ServiceFixture, signed_request};

/// Sends one signed request twice, to a service that responds once and is then gone, and returns both statuses.
async fn send_twice(response: &'static str) -> [u16; 2] {
    let service = ServiceFixture::start(response).await;
    let session = SessionContext::builder().build();
    let key = "AKIAIOSFODNN7EXAMPLE".parse().unwrap();
    session.set_credentials(Credentials::builder(key, "secret".into()).build().unwrap()).unwrap();
    let settings = ProxySettings::default().endpoint(&service.url()).unwrap();
    let proxy = SigningProxy::start_with(settings).await.unwrap();
    let account = session.account(session.default_account()).unwrap();
    let placeholder = proxy.placeholder(account, "test", Rules::default());
    let mut request = signed_request(&placeholder, "DynamoDB_20120810.PutItem", "{}");
    *request.uri_mut() = format!("{}{}", placeholder.url(), request.uri()).parse().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<_>>();
    let send = async |request: Request<_>| client.request(request).await.unwrap().status().as_u16();
    [send(request.clone()).await, send(request).await]
}

#[tokio::test]
async fn repeated_request_is_refused_unless_service_failed() {
    let closing = "content-length: 0\r\nconnection: close\r\n\r\n";
    for (status, statuses) in
        [("200 OK", [200, 429]), ("400 Bad Request", [400, 429]), ("503 Slow Down", [503, 503])]
    {
        let response = format!("HTTP/1.1 {status}\r\n{closing}").leak();
        assert_eq!(send_twice(response).await, statuses, "{status}");
    }
}
