//! What a client is shown that has no token, or one of an issuer that lacks something.

use hyper::Request;
use serde_json::json;
use valetkey_mcp::http::{Authenticator, JwtIssuer, StaticJwks};

use super::client_fixture::{HttpClientFixture, HttpReply};
use super::fixture::HttpGatewayFixture;

async fn gateway_behind_proxy() -> HttpGatewayFixture {
    let issuer = JwtIssuer::builder("https://login.example.com", StaticJwks::new(b"{}".to_vec()))
        .audience("https://mcp.example.com/aws/mcp")
        .required_scope("aws")
        .required_scope("tools")
        .principal("00u1", "alice".parse().unwrap())
        .build();
    let authenticator = Authenticator::bearer().issuer(issuer.unwrap()).unwrap();
    HttpGatewayFixture::start_with(Vec::new(), authenticator, |gateway| {
        gateway.public_url("https://mcp.example.com/aws/mcp").unwrap()
    })
    .await
}

async fn get(client: &HttpClientFixture, path: &str, host: &str) -> HttpReply {
    let request =
        Request::builder().uri(path).header("host", host).header("x-forwarded-host", "evil.example");
    client.send(request.body("".into()).unwrap()).await
}

#[tokio::test]
async fn challenge_leads_to_metadata_of_public_url() {
    let gateway = gateway_behind_proxy().await;
    let client = HttpClientFixture::new(gateway.address, None);
    let reply = client.send(client.initialize_request()).await;
    let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/aws/mcp";
    let challenge = format!(r#"Bearer resource_metadata="{metadata}", scope="aws tools""#);
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some(challenge.as_str())));
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource/aws/mcp",
    ] {
        let reply = get(&client, path, "mcp.example.com").await;
        assert_eq!(
            reply.json(),
            json!({
                "resource": "https://mcp.example.com/aws/mcp",
                "authorization_servers": ["https://login.example.com"],
                "scopes_supported": ["aws", "tools"],
                "bearer_methods_supported": ["header"],
            }),
            "{path}"
        );
    }
    for path in ["/register", "/.well-known/oauth-authorization-server", "/mcp/x", "/"] {
        assert_eq!(get(&client, path, "mcp.example.com").await.status, 404, "{path}");
    }
    assert_eq!(get(&client, "/.well-known/oauth-protected-resource", "evil.example").await.status, 403);
    gateway.stop().await;
}

#[tokio::test]
async fn issuer_without_keys_is_unavailable() {
    let gateway = gateway_behind_proxy().await;
    // {"alg":"RS256"}.{"iss":"https://login.example.com"}.
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tIn0.AAAA";
    let client = HttpClientFixture::new(gateway.address, Some(token));
    let reply = client.send(client.initialize_request()).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("30")));
    gateway.stop().await;
}
