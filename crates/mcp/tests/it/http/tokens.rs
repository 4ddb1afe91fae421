//! Bearer tokens of the configuration.

use hyper::header::{AUTHORIZATION, HeaderValue};
use serde_json::json;

use super::client_fixture::{HttpClientFixture, without_header};
use super::fixture::{ALICE, HttpGatewayFixture};

#[tokio::test]
async fn request_without_valid_token_is_challenged() {
    let gateway = HttpGatewayFixture::start().await;
    for token in [None, Some("wrong"), Some("token-of-alic"), Some("token-of-alicee"), Some("${TOKEN}")] {
        let client = HttpClientFixture::new(gateway.address, token);
        for method in ["POST", "GET", "DELETE"] {
            let reply = client.send(client.request_with(method, "{}")).await;
            assert_eq!(reply.status, 401, "{token:?}");
            let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
            let expected = if token.is_none() { "Bearer" } else { r#"Bearer error="invalid_token""# };
            assert_eq!(challenges, [expected], "{token:?}");
            assert!(token.is_none_or(|token| !reply.body.contains(token)), "{reply:?}");
        }
    }
    let client = HttpClientFixture::new(gateway.address, Some(ALICE));
    let metadata = client.request_with("GET", "");
    let metadata = hyper::Request::builder()
        .uri("/.well-known/oauth-protected-resource")
        .header("host", metadata.headers()["host"].clone())
        .body(metadata.into_body())
        .unwrap();
    assert_eq!(client.send(metadata).await.status, 404, "there is no authorization server");
    gateway.stop().await;
}

#[tokio::test]
async fn ambiguous_token_is_refused() {
    let gateway = HttpGatewayFixture::start().await;
    let client = HttpClientFixture::new(gateway.address, Some(ALICE));
    let mut twice = client.initialize_request();
    twice.headers_mut().append(AUTHORIZATION, HeaderValue::from_static("Bearer token-of-bob"));
    assert_eq!(client.send(twice).await.status, 400);
    let mut in_query = without_header(client.initialize_request(), "authorization");
    *in_query.uri_mut() = "/mcp?access_token=token-of-alice".parse().unwrap();
    assert_eq!(client.send(in_query).await.status, 400);
    let in_body = HttpClientFixture::new(gateway.address, None);
    let in_body = in_body.request_with("POST", "access_token=token-of-alice");
    assert_eq!(client.send(in_body).await.status, 401);
    let mut basic = client.initialize_request();
    basic.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic dG9rZW4tb2YtYWxpY2U6"));
    assert_eq!(client.send(basic).await.status, 401);
    gateway.stop().await;
}

#[tokio::test]
async fn token_of_caller_reaches_no_server() {
    let gateway = HttpGatewayFixture::with_server().await;
    let mut client = gateway.legacy(ALICE).await;
    client.set("AAAA").await;
    for tool in ["fixture__whoami", "fixture__echo"] {
        let result = client.call(tool, json!({})).await;
        assert!(!result.to_string().contains(ALICE), "{result}");
    }
    gateway.stop().await;
}
