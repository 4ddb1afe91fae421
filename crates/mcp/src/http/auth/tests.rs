//! Tests of the authenticator with signed tokens.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::header::AUTHORIZATION;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use parking_lot::Mutex;
use serde_json::{Value, json};
use valetkey_core::ErrorKind;
use valetkey_core::testing::ManualClock;

use super::keys::KeySet;
use super::*;

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";
/// The time of `ManualClock::new`, in seconds since 1970.
const NOW: u64 = 1_795_262_400;

/// A key that signs tokens.
struct SigningKeyFixture {
    id: &'static str,
    key: EncodingKey,
    algorithm: Algorithm,
}

impl SigningKeyFixture {
    fn rsa(id: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // jsonwebtoken reads PKCS#1, which follows the fixed header of PKCS#8.
        let key = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
        Self { id, key, algorithm: Algorithm::RS256 }
    }

    fn elliptic(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self { id, key: EncodingKey::from_ec_der(pkcs8.as_ref()), algorithm: Algorithm::ES256 }
    }

    fn jwk(&self) -> Value {
        let mut jwk = json!(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap());
        jwk["kid"] = self.id.into();
        jwk["use"] = "sig".into();
        jwk
    }

    fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "kid": self.id, "typ": "at+jwt"})
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// Signs a header and claims as they are.
    fn sign(&self, header: &str, claims: &str) -> String {
        sign_with(&self.key, self.algorithm, header, claims)
    }
}

fn sign_with(key: &EncodingKey, algorithm: Algorithm, header: &str, claims: &str) -> String {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": [AUDIENCE, "another"],
        "sub": "00u1",
        "exp": NOW + 3600,
        "nbf": NOW,
        "iat": NOW,
        "scope": "openid aws other",
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

/// A key set that tests replace, and the number of times that it was fetched.
#[derive(Debug, Default, Clone)]
struct JwksFixture(Arc<(Mutex<Option<Value>>, AtomicUsize)>);

impl JwksFixture {
    fn publish(&self, keys: &[&SigningKeyFixture]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        *self.0.0.lock() = Some(json!({"keys": keys}));
    }

    fn fail(&self) {
        *self.0.0.lock() = None;
    }

    fn fetches(&self) -> usize {
        self.0.1.load(Ordering::Acquire)
    }
}

#[async_trait]
impl JwksSource for JwksFixture {
    async fn fetch(&self) -> Result<Vec<u8>> {
        self.0.1.fetch_add(1, Ordering::AcqRel);
        let document = self.0.0.lock().clone();
        let unavailable = || Error::new(ErrorKind::Unavailable, "the issuer is down");
        document.map(|document| document.to_string().into_bytes()).ok_or_else(unavailable)
    }
}

fn authenticator(keys: JwksFixture) -> (Authenticator, ManualClock) {
    let clock = ManualClock::new();
    let issuer = JwtIssuer::builder(ISSUER, keys)
        .audience(AUDIENCE)
        .required_scope("aws")
        .principal("00u1", "alice".parse().unwrap())
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    (Authenticator::bearer().issuer(issuer).unwrap(), clock)
}

async fn authenticate(authenticator: &Authenticator, token: &str) -> std::result::Result<Principal, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    authenticator.authenticate(&headers, &"/mcp".parse().unwrap()).await
}

fn is_invalid(refused: &std::result::Result<Principal, Refusal>) -> bool {
    matches!(refused, Err(Refusal::InvalidToken(_) | Refusal::Malformed(_)))
}

#[tokio::test]
async fn valid_access_token_has_its_principal() {
    let (rsa, elliptic) = (SigningKeyFixture::rsa("r"), SigningKeyFixture::elliptic("e"));
    let keys = JwksFixture::default();
    keys.publish(&[&rsa, &elliptic]);
    let (authenticator, _) = authenticator(keys.clone());
    let alice: Principal = "alice".parse().unwrap();
    for claims in [
        claims(),
        with("aud", json!(AUDIENCE)),
        without("nbf"),
        without("iat"),
        with("exp", json!(NOW - 30)),
        with("nbf", json!(NOW + 30)),
        with("scope", json!(["aws"])),
        {
            let mut claims = without("scope");
            claims["scp"] = json!(["aws"]);
            claims
        },
    ] {
        for key in [&rsa, &elliptic] {
            assert_eq!(
                authenticate(&authenticator, &key.token(&claims)).await,
                Ok(alice.clone()),
                "{claims}"
            );
        }
    }
    for typ in [json!("JWT"), json!("application/at+jwt"), Value::Null] {
        let mut header = rsa.header();
        header["typ"] = typ;
        let token = rsa.sign(&header.to_string(), &claims().to_string());
        assert_eq!(authenticate(&authenticator, &token).await, Ok(alice.clone()), "{header}");
    }
    assert_eq!(keys.fetches(), 1);
}

#[tokio::test]
async fn token_with_invalid_claims_is_refused() {
    let key = SigningKeyFixture::elliptic("e");
    let keys = JwksFixture::default();
    keys.publish(&[&key]);
    let (authenticator, _) = authenticator(keys);
    for claims in [
        without("aud"),
        with("aud", json!(5)),
        with("aud", json!("https://mcp.example.com/mcp/")),
        with("aud", json!("https://mcp.example.com/mc")),
        with("aud", json!("https://mcp.example.com/mcp2")),
        with("aud", json!(["https://MCP.example.com/mcp"])),
        with("aud", json!([])),
        without("iss"),
        with("iss", json!("https://login.example.com/")),
        with("iss", json!("https://login.example.com.evil.example")),
        with("iss", json!([ISSUER])),
        without("sub"),
        with("sub", json!("")),
        with("sub", json!(" ")),
        with("sub", json!(1)),
        without("exp"),
        with("exp", json!(NOW - 61)),
        with("exp", json!((NOW + 3600).to_string())),
        with("exp", json!(-1)),
        with("nbf", json!(NOW + 61)),
        with("nbf", json!("now")),
        with("iat", json!(NOW + 61)),
        with("nonce", json!("n")),
        with("at_hash", json!("h")),
        with("token_use", json!("id")),
    ] {
        let refused = authenticate(&authenticator, &key.token(&claims)).await;
        assert!(is_invalid(&refused), "{refused:?} {claims}");
    }
    let twice = claims().to_string().replacen('{', r#"{"sub":"00u2","#, 1);
    assert!(is_invalid(&authenticate(&authenticator, &key.sign(&key.header().to_string(), &twice)).await));
}

#[tokio::test]
async fn token_with_invalid_header_or_signature_is_refused() {
    let (rsa, elliptic) = (SigningKeyFixture::rsa("r"), SigningKeyFixture::elliptic("e"));
    let stranger = SigningKeyFixture::elliptic("e");
    let keys = JwksFixture::default();
    keys.publish(&[&rsa, &elliptic]);
    let (authenticator, _) = authenticator(keys);
    let header = |name: &str, value: Value| {
        let mut header = elliptic.header();
        header[name] = value;
        elliptic.sign(&header.to_string(), &claims().to_string())
    };
    let public_key = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let secret = EncodingKey::from_secret(&BASE64_URL_SAFE_NO_PAD.decode(&public_key).unwrap());
    let hmac = json!({"alg": "HS256", "kid": "r"}).to_string();
    let valid = elliptic.token(&claims());
    let (message, signature) = valid.rsplit_once('.').unwrap();
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"e"}"#);
    let payload = message.split_once('.').unwrap().1;
    for token in [
        header("alg", json!("none")),
        header("alg", json!("RS256")),
        header("alg", json!("ES384")),
        header("alg", json!("es256")),
        header("alg", Value::Null),
        header("kid", json!("unknown")),
        header("kid", json!("r")),
        header("kid", json!("https://evil.example/keys")),
        header("kid", json!("../../keys")),
        header("kid", Value::Null),
        header("crit", json!(["exp"])),
        header("typ", json!("id+jwt")),
        header("typ", json!("logout+jwt")),
        sign_with(&secret, Algorithm::HS256, &hmac, &claims().to_string()),
        stranger.token(&claims()),
        format!("{message}.{}", signature.replace(&signature[..4], "AAAA")),
        format!("{message}."),
        message.to_owned(),
        format!("{valid}.{signature}"),
        format!("{none}.{payload}."),
        format!("{none}.{payload}"),
        "a.b.c".to_owned(),
        valid.replacen('.', "..", 1),
    ] {
        let refused = authenticate(&authenticator, &token).await;
        assert!(is_invalid(&refused), "{refused:?} {token}");
    }
    assert!(authenticate(&authenticator, &valid).await.is_ok());
}

#[tokio::test]
async fn token_without_scope_or_known_subject_is_forbidden() {
    let key = SigningKeyFixture::elliptic("e");
    let keys = JwksFixture::default();
    keys.publish(&[&key]);
    let (authenticator, _) = authenticator(keys);
    for claims in [without("scope"), with("scope", json!("aws2 xaws")), with("scope", json!("AWS"))] {
        let refused = authenticate(&authenticator, &key.token(&claims)).await;
        assert_eq!(refused, Err(Refusal::InsufficientScope), "{claims}");
    }
    let refused = authenticate(&authenticator, &key.token(&with("sub", json!("00u2")))).await;
    assert_eq!(refused, Err(Refusal::UnknownPrincipal));
}

#[tokio::test]
async fn cached_token_is_refused_after_its_expiry() {
    let key = SigningKeyFixture::elliptic("e");
    let keys = JwksFixture::default();
    keys.publish(&[&key]);
    let (authenticator, clock) = authenticator(keys);
    let token = key.token(&with("exp", json!(NOW + 10)));
    assert!(authenticate(&authenticator, &token).await.is_ok());
    clock.advance(Duration::from_secs(71));
    assert!(is_invalid(&authenticate(&authenticator, &token).await));
}

#[tokio::test(start_paused = true)]
async fn rotated_key_is_fetched_and_the_old_one_refused() {
    let (old, new) = (SigningKeyFixture::elliptic("old"), SigningKeyFixture::elliptic("new"));
    let keys = JwksFixture::default();
    keys.publish(&[&old]);
    let (authenticator, _) = authenticator(keys.clone());
    let (by_old, by_new) = (old.token(&claims()), new.token(&claims()));
    assert!(authenticate(&authenticator, &by_old).await.is_ok());
    keys.publish(&[&new]);
    assert!(is_invalid(&authenticate(&authenticator, &by_new).await), "fetched a moment ago");
    assert_eq!(keys.fetches(), 1);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(authenticate(&authenticator, &by_new).await.is_ok());
    assert!(is_invalid(&authenticate(&authenticator, &by_old).await), "although it was verified before");
    assert_eq!(keys.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn keys_unavailable_keeps_cached_keys() {
    let key = SigningKeyFixture::elliptic("e");
    let keys = JwksFixture::default();
    let (authenticator, _) = authenticator(keys.clone());
    let token = |n: u64| key.token(&with("jti", json!(n)));
    assert_eq!(authenticate(&authenticator, &token(0)).await, Err(Refusal::Unavailable));
    keys.publish(&[&key]);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(authenticate(&authenticator, &token(1)).await.is_ok());
    keys.fail();
    tokio::time::advance(Duration::from_secs(60 * 60)).await;
    assert!(authenticate(&authenticator, &token(2)).await.is_ok());
    tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(authenticate(&authenticator, &token(3)).await, Err(Refusal::Unavailable));
}

#[test]
fn key_set_without_usable_key_is_refused() {
    let good = SigningKeyFixture::elliptic("e").jwk();
    let (n, e) = (BASE64_URL_SAFE_NO_PAD.encode([0xc5; 128]), "AQAB");
    let changed = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        jwk
    };
    let is_usable = |keys: &[Value]| KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).is_some();
    assert!(is_usable(std::slice::from_ref(&good)));
    for keys in [
        vec![],
        vec![json!({"kty": "oct", "kid": "o", "alg": "HS256", "k": "c2VjcmV0"})],
        vec![json!({"kty": "RSA", "kid": "r", "n": n, "e": e})],
        vec![changed("use", json!("enc"))],
        vec![changed("key_ops", json!(["sign"]))],
        vec![changed("alg", json!("RS256"))],
        vec![changed("alg", json!("HS256"))],
        vec![good.clone(), good.clone()],
        vec![json!("text")],
    ] {
        assert!(!is_usable(&keys), "{keys:?}");
    }
    assert!(is_usable(&[json!({"kty": "unknown"}), good.clone()]), "other keys are skipped");
    for document in ["", "{}", "[]", r#"{"keys": {}}"#] {
        assert!(KeySet::parse(document.as_bytes()).is_none(), "{document}");
    }
}

#[test]
fn issuer_without_audience_or_principal_is_invalid() {
    let issuer = |url: &str| JwtIssuer::builder(url, StaticJwks::new(Vec::new()));
    let alice = || "alice".parse().unwrap();
    assert!(issuer(ISSUER).audience(AUDIENCE).principal("00u1", alice()).build().is_ok());
    for refused in [
        issuer("login.example.com").audience(AUDIENCE).principal("00u1", alice()).build(),
        issuer("http://login.example.com").audience(AUDIENCE).principal("00u1", alice()).build(),
        issuer(ISSUER).principal("00u1", alice()).build(),
        issuer(ISSUER).audience("").principal("00u1", alice()).build(),
        issuer(ISSUER).audience(AUDIENCE).build(),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn token_digest_malformed_or_repeated_is_invalid() {
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let bearer = || Authenticator::bearer().token(digest, "alice".parse().unwrap()).unwrap();
    for digest in ["", "9f86", &"g".repeat(64), &"0".repeat(65), digest, &digest.to_uppercase()] {
        assert!(bearer().token(digest, "bob".parse().unwrap()).is_err(), "{digest}");
    }
}
