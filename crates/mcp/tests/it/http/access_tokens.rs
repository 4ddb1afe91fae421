//! Access tokens of an issuer, on real sockets: each one that must be refused, and what an expired one no longer reaches.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use parking_lot::Mutex;
use serde_json::{Value, json};
use valetkey_core::testing::ManualClock;
use valetkey_mcp::http::{Authenticator, ClaimRule, JwksSource, JwtIssuer, JwtIssuerBuilder};
use valetkey_rig::SigningKey;

use super::client_fixture::{HttpClientFixture, HttpReply, with_header};
use super::fixture::{HttpGatewayFixture, SessionFactoryFixture};

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";
/// The time of `ManualClock::new`, in seconds since 1970.
const NOW: u64 = 1_795_262_400;

/// The published keys of an issuer, which a test replaces.
#[derive(Debug, Clone)]
struct PublishedKeys(Arc<Mutex<Vec<Value>>>);

#[async_trait]
impl JwksSource for PublishedKeys {
    async fn fetch(&self) -> valetkey_core::Result<Vec<u8>> {
        Ok(json!({"keys": *self.0.lock()}).to_string().into_bytes())
    }
}

/// A gateway that accepts the tokens of one issuer, with the keys of the issuer.
struct IssuerFixture {
    gateway: HttpGatewayFixture,
    clock: ManualClock,
    rsa: SigningKey,
    elliptic: SigningKey,
    published: PublishedKeys,
}

impl IssuerFixture {
    async fn start() -> Self {
        let (rsa, elliptic) = (SigningKey::rsa("r").unwrap(), SigningKey::elliptic("e").unwrap());
        let published = vec![rsa.jwk().unwrap(), elliptic.jwk().unwrap()];
        let published = PublishedKeys(Arc::new(Mutex::new(published)));
        let clock = ManualClock::new();
        let authenticator = authenticator(builder(&published, &clock));
        let gateway = HttpGatewayFixture::start_with(Vec::new(), authenticator, |gateway| gateway).await;
        Self { gateway, clock, rsa, elliptic, published }
    }

    fn token(&self, claims: &Value) -> String {
        self.elliptic.token(claims).unwrap()
    }

    fn client(&self, token: &str) -> HttpClientFixture {
        self.gateway.modern(token)
    }

    /// Sends one request with a token.
    async fn reply_to(&self, token: &str) -> HttpReply {
        let client = self.client(token);
        client.send(client.initialize_request()).await
    }
}

/// Returns the rules of the issuer.
fn builder(published: &PublishedKeys, clock: &ManualClock) -> JwtIssuerBuilder {
    JwtIssuer::builder(ISSUER, published.clone())
        .name("login")
        .audience(AUDIENCE)
        .required_scope("aws")
        .required_scope("tools")
        .principal("00u1", "alice".parse().unwrap())
        .principal("00u2", "bob".parse().unwrap())
        .rule(ClaimRule::new("team").claim("team", "payments"))
        .keep_claim("email")
        .clock(Arc::new(clock.clone()))
}

fn authenticator(issuer: JwtIssuerBuilder) -> Authenticator {
    Authenticator::bearer().issuer(issuer.build().unwrap()).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "00u1", "exp": NOW + 3600, "nbf": NOW, "iat": NOW,
        "scope": "openid aws tools",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Asserts that each token is refused as invalid, with one challenge, which repeats nothing of it.
async fn assert_invalid(issuer: &IssuerFixture, tokens: &[(&str, String)]) {
    assert_eq!(issuer.reply_to(&issuer.token(&claims())).await.status, 200);
    for (label, token) in tokens {
        let reply = issuer.reply_to(token).await;
        let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
        assert_eq!((reply.status, challenges.len()), (401, 1), "{label}: {reply:?}");
        let challenge = challenges[0].to_str().unwrap();
        assert!(
            challenge.starts_with(r#"Bearer error="invalid_token", resource_metadata=""#),
            "{label}: {challenge}"
        );
        assert!(!reply.body.contains(&token[token.len() - 8..]), "{label}: {}", reply.body);
        assert_eq!(reply.header("mcp-session-id"), None, "{label}");
    }
}

#[tokio::test]
async fn access_token_of_other_signature_is_refused() {
    let issuer = IssuerFixture::start().await;
    let public_key = BASE64_URL_SAFE_NO_PAD.decode(issuer.rsa.jwk().unwrap()["n"].as_str().unwrap()).unwrap();
    let stranger = SigningKey::elliptic("e").unwrap();
    let (rotated, encryption) = (SigningKey::elliptic("old").unwrap(), SigningKey::rsa("enc").unwrap());
    let symmetric = SigningKey::secret("oct", b"a secret that is published");
    {
        let mut published = issuer.published.0.lock();
        let mut for_encryption = encryption.jwk().unwrap();
        for_encryption["use"] = json!("enc");
        let secret = BASE64_URL_SAFE_NO_PAD.encode("a secret that is published");
        published.push(for_encryption);
        published.push(json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": secret}));
        let short = BASE64_URL_SAFE_NO_PAD.encode([0xc5; 128]);
        published.push(json!({"kty": "RSA", "kid": "short", "n": short, "e": "AQAB"}));
    }
    let header = |key: &SigningKey, name: &str, value: Value| {
        let mut header = key.header();
        header[name] = value;
        key.sign(&header.to_string(), &claims().to_string()).unwrap()
    };
    let valid = issuer.token(&claims());
    let (message, signature) = valid.rsplit_once('.').unwrap();
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"e"}"#);
    let payload = message.split_once('.').unwrap().1;
    let elliptic = &issuer.elliptic;
    assert_invalid(
        &issuer,
        &[
            ("no algorithm", format!("{none}.{payload}.{signature}")),
            ("`none` in a signed header", header(elliptic, "alg", json!("none"))),
            ("HS256 with the public key", SigningKey::secret("r", &public_key).token(&claims()).unwrap()),
            ("the algorithm of another key", header(elliptic, "alg", json!("RS256"))),
            ("another curve", header(elliptic, "alg", json!("ES384"))),
            ("another signature", format!("{message}.{}", signature.replace(&signature[..4], "AAAA"))),
            ("another key with the same id", stranger.token(&claims()).unwrap()),
            ("an unknown key", header(elliptic, "kid", json!("unknown"))),
            ("a URL as the key", header(elliptic, "kid", json!("https://evil.example/keys"))),
            ("a path as the key", header(elliptic, "kid", json!("../../etc/passwd"))),
            ("a key that is not published", rotated.token(&claims()).unwrap()),
            ("a symmetric key", symmetric.token(&claims()).unwrap()),
            ("a key for encryption", encryption.token(&claims()).unwrap()),
            ("a key of 1,024 bits", header(&issuer.rsa, "kid", json!("short"))),
            ("an extension", header(elliptic, "crit", json!(["exp"]))),
            ("an ID token", header(elliptic, "typ", json!("id+jwt"))),
            ("an own key in the header", header(&stranger, "jwk", stranger.jwk().unwrap())),
        ],
    )
    .await;
    issuer.gateway.stop().await;
}

#[tokio::test]
async fn access_token_of_other_claims_is_refused() {
    let issuer = IssuerFixture::start().await;
    let key = &issuer.elliptic;
    let twice = claims().to_string().replacen('{', r#"{"sub":"00u2","#, 1);
    let rows = [
        ("an ID token", with("nonce", json!("n"))),
        ("another audience", with("aud", json!("https://other.example.com/mcp"))),
        ("a prefix of the audience", with("aud", json!("https://mcp.example.com/mc"))),
        ("an audience with a slash", with("aud", json!("https://mcp.example.com/mcp/"))),
        ("no audience", without("aud")),
        ("another issuer", with("iss", json!("https://login.example.org"))),
        ("several issuers", with("iss", json!([ISSUER]))),
        ("no issuer", without("iss")),
        ("no subject", without("sub")),
        ("an empty subject", with("sub", json!(""))),
        ("expired", with("exp", json!(NOW - 61))),
        ("no expiry", without("exp")),
        ("an expiry as text", with("exp", json!((NOW + 3600).to_string()))),
        ("not valid yet", with("nbf", json!(NOW + 61))),
    ];
    let mut tokens: Vec<_> =
        rows.iter().map(|(label, claims)| (*label, key.token(claims).unwrap())).collect();
    tokens.push(("repeated claims", key.sign(&key.header().to_string(), &twice).unwrap()));
    assert_invalid(&issuer, &tokens).await;
    issuer.gateway.stop().await;
}

#[tokio::test]
async fn access_token_malformed_header_is_refused() {
    let issuer = IssuerFixture::start().await;
    let valid = issuer.token(&claims());
    let client = issuer.client(&valid);
    let mut twice = client.initialize_request();
    twice.headers_mut().append(AUTHORIZATION, format!("Bearer {valid}").parse().unwrap());
    let mut in_query = client.initialize_request();
    *in_query.uri_mut() = format!("/mcp?access_token={valid}").parse().unwrap();
    let in_body = HttpClientFixture::new(issuer.gateway.address, None)
        .request_with("POST", &format!("access_token={valid}"));
    let authorization = |value: &str| with_header(client.initialize_request(), "authorization", value);
    for (label, request, status) in [
        ("two headers", twice, 400),
        ("in the query, although also in the header", in_query, 400),
        ("in the body", in_body, 401),
        ("another scheme", authorization(&format!("DPoP {valid}")), 401),
        ("no scheme", authorization(&valid), 400),
        ("a literal variable", authorization("Bearer ${TOKEN}"), 401),
        ("over 16 KiB", authorization(&format!("Bearer {}", "a".repeat(16 * 1024 + 1))), 400),
    ] {
        let reply = client.send(request).await;
        assert_eq!(reply.status, status, "{label}: {reply:?}");
        assert!(!reply.body.contains(&valid), "{label}");
    }
    issuer.gateway.stop().await;
}

#[tokio::test]
async fn access_token_without_scopes_is_challenged_with_all() {
    let issuer = IssuerFixture::start().await;
    for scope in ["openid", "aws", "tools", "awstools"] {
        let reply = issuer.reply_to(&issuer.token(&with("scope", json!(scope)))).await;
        let challenge = reply.header("www-authenticate").unwrap();
        assert_eq!(reply.status, 403, "{scope}");
        assert!(challenge.starts_with(r#"Bearer error="insufficient_scope""#), "{challenge}");
        assert!(challenge.ends_with(r#"scope="aws tools""#), "{challenge}");
    }
    let unknown = issuer.reply_to(&issuer.token(&with("sub", json!("00u3")))).await;
    assert_eq!(unknown.status, 403);
    issuer.gateway.stop().await;
}

#[tokio::test]
async fn access_token_of_rotated_key_is_refused() {
    let issuer = IssuerFixture::start().await;
    let token = issuer.token(&claims());
    assert_eq!(issuer.reply_to(&token).await.status, 200);
    let new = SigningKey::elliptic("new").unwrap();
    *issuer.published.0.lock() = vec![new.jwk().unwrap()];
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    assert_eq!(issuer.reply_to(&new.token(&claims()).unwrap()).await.status, 200);
    assert_eq!(issuer.reply_to(&token).await.status, 401, "although it was verified before");
    issuer.gateway.stop().await;
}

#[tokio::test]
async fn session_after_its_token_expired_is_not_reached() {
    let issuer = IssuerFixture::start().await;
    let mut alice = issuer.client(&issuer.token(&with("exp", json!(NOW + 60))));
    alice.initialize().await;
    let handle = alice.create_session().await;
    alice.handle = Some(handle.clone());
    alice.set("AAAA").await;
    issuer.clock.advance(Duration::from_secs(121));
    for method in ["POST", "GET", "DELETE"] {
        assert_eq!(alice.send(alice.request_with(method, "{}")).await.status, 401, "{method}");
    }
    alice.token = Some(issuer.token(&with("sub", json!("00u2"))));
    assert_eq!(alice.request("tools/list", json!({})).await.error(), (404, -32001), "bob has a valid token");
    alice.token = Some(issuer.token(&claims()));
    assert_eq!(alice.own_key().await, "AAAA", "a new token of alice reaches it again");
    issuer.gateway.stop().await;
}

#[tokio::test]
async fn session_of_other_claims_is_not_reached() {
    let issuer = IssuerFixture::start().await;
    let of = |email: &str| {
        let mut claims = with("email", json!(email));
        claims["sub"] = json!("00u7");
        claims["team"] = json!("payments");
        issuer.token(&claims)
    };
    let mut caller = issuer.client(&of("carol@example.com"));
    let handle = caller.create_session().await;
    caller.handle = Some(handle.clone());
    caller.set("AAAA").await;
    caller.token = Some(of("dave@example.com"));
    caller.call_error("get_aws_credentials_context", json!({})).await;
    caller.token = Some(of("carol@example.com"));
    assert_eq!(caller.own_key().await, "AAAA");
    // The same principal may close it whatever its claims are.
    caller.token = Some(of("dave@example.com"));
    caller.handle = None;
    caller.call_ok("close_credential_session", json!({"credential_session": handle})).await;
    issuer.gateway.stop().await;
}

#[tokio::test]
async fn session_is_not_opened_without_principal() {
    let issuer = IssuerFixture::start().await;
    let mut stranger = HttpClientFixture::new(issuer.gateway.address, None);
    let reply = stranger.send(stranger.initialize_request()).await;
    assert_eq!((reply.status, reply.header("mcp-session-id")), (401, None));
    let create =
        stranger.request("tools/call", json!({"name": "create_credential_session", "arguments": {}})).await;
    assert_eq!(create.status, 401);
    // A chosen id is not adopted by the first caller with a token.
    let mut alice = issuer.client(&issuer.token(&claims()));
    alice.session_id = Some("0123456789abcdef0123456789abcdef".to_owned());
    assert_eq!(alice.request("tools/list", json!({})).await.error(), (404, -32001));
    let chosen = alice.send(alice.initialize_request()).await;
    assert_ne!(chosen.header("mcp-session-id"), alice.session_id.as_deref());
    issuer.gateway.stop().await;
}

/// Opens a protocol session and its stream, and reads the first event.
async fn open_get(client: &mut HttpClientFixture) -> Response<Incoming> {
    client.initialize().await;
    let request = with_header(client.request_with("GET", ""), "accept", "text/event-stream");
    let mut stream = client.open(request).await;
    assert!(stream.body_mut().frame().await.is_some());
    stream
}

/// Asserts that a stream has an event, and so has not ended.
async fn assert_open(stream: &mut Response<Incoming>) {
    assert!(stream.body_mut().frame().await.is_some_and(|frame| frame.is_ok()));
}

#[tokio::test]
async fn stream_after_its_token_expired_ends() {
    let issuer = IssuerFixture::start().await;
    let short = issuer.token(&with("exp", json!(NOW + 60)));
    let (mut first, mut second) = (issuer.client(&short), issuer.client(&issuer.token(&claims())));
    let (ended, mut kept) = (open_get(&mut first).await, open_get(&mut second).await);
    issuer.clock.advance(Duration::from_secs(121));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(16)).await;
    tokio::time::resume();
    ended.into_body().collect().await.unwrap();
    assert_open(&mut kept).await;
    issuer.gateway.stop().await;
}

#[tokio::test]
async fn stream_after_its_issuer_was_changed_ends() {
    let issuer = IssuerFixture::start().await;
    let mut of_rule = with("sub", json!("00u7"));
    of_rule["team"] = json!("payments");
    let mut listed = issuer.client(&issuer.token(&claims()));
    let mut by_rule = issuer.client(&issuer.token(&of_rule));
    let (mut kept, ended) = (open_get(&mut listed).await, open_get(&mut by_rule).await);
    let reload = |authenticator| {
        issuer.gateway.reloader.reload(SessionFactoryFixture::without_servers(), authenticator);
    };
    let other_rule = ClaimRule::new("others").claim("team", "sales");
    let changed = JwtIssuer::builder(ISSUER, issuer.published.clone())
        .name("login")
        .audience(AUDIENCE)
        .principal("00u1", "alice".parse().unwrap())
        .rule(other_rule)
        .keep_claim("email")
        .clock(Arc::new(issuer.clock.clone()));
    reload(authenticator(changed));
    ended.into_body().collect().await.unwrap();
    assert_open(&mut kept).await;
    assert_eq!(by_rule.request("tools/list", json!({})).await.status, 403);

    reload(Authenticator::bearer());
    kept.into_body().collect().await.unwrap();
    assert_eq!(listed.request("tools/list", json!({})).await.status, 401);
    issuer.gateway.stop().await;
}
