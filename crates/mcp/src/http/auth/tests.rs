//! Tests of the authenticator with signed tokens.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::header::AUTHORIZATION;
use parking_lot::Mutex;
use serde_json::{Value, json};
use valetkey_core::testing::ManualClock;
use valetkey_core::{ErrorKind, ExposeSecret, SecretString};
use valetkey_rig::SigningKey;

use super::keys::KeySet;
use super::*;

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";
/// The time of `ManualClock::new`, in seconds since 1970.
const NOW: u64 = 1_795_262_400;

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
    fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk().unwrap()).collect();
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
    authenticator_with(keys, |issuer| {
        issuer.audience(AUDIENCE).required_scope("aws").principal("00u1", "alice".parse().unwrap())
    })
}

fn authenticator_with(
    keys: JwksFixture,
    configure: impl FnOnce(JwtIssuerBuilder) -> JwtIssuerBuilder,
) -> (Authenticator, ManualClock) {
    let clock = ManualClock::new();
    let issuer = configure(JwtIssuer::builder(ISSUER, keys)).clock(Arc::new(clock.clone())).build();
    (Authenticator::bearer().issuer(issuer.unwrap()).unwrap(), clock)
}

/// Whether a token with these claims is accepted by an issuer with these settings.
async fn accepts(claims: &Value, configure: impl FnOnce(JwtIssuerBuilder) -> JwtIssuerBuilder) -> bool {
    let key = SigningKey::elliptic("e").unwrap();
    let keys = JwksFixture::default();
    keys.publish(&[&key]);
    let (authenticator, _) =
        authenticator_with(keys, |issuer| configure(issuer.principal("00u1", "alice".parse().unwrap())));
    authenticate(&authenticator, &key.token(claims).unwrap()).await.is_ok()
}

async fn authenticate(
    authenticator: &Authenticator,
    token: &str,
) -> std::result::Result<VerifiedCaller, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let authority = authenticator.authenticate(&headers, &"/mcp".parse().unwrap()).await;
    authority.map(|authority| authority.caller)
}

fn is_invalid(refused: &std::result::Result<VerifiedCaller, Refusal>) -> bool {
    matches!(refused, Err(Refusal::InvalidToken(_) | Refusal::Malformed(_)))
}

#[tokio::test]
async fn valid_access_token_has_its_principal() {
    let (rsa, elliptic) = (SigningKey::rsa("r").unwrap(), SigningKey::elliptic("e").unwrap());
    let keys = JwksFixture::default();
    keys.publish(&[&rsa, &elliptic]);
    let (authenticator, _) = authenticator(keys.clone());
    let alice = VerifiedCaller::new("alice".parse().unwrap());
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
                authenticate(&authenticator, &key.token(&claims).unwrap()).await,
                Ok(alice.clone()),
                "{claims}"
            );
        }
    }
    for typ in [json!("JWT"), json!("application/at+jwt"), Value::Null] {
        let mut header = rsa.header();
        header["typ"] = typ;
        let token = rsa.sign(&header.to_string(), &claims().to_string()).unwrap();
        assert_eq!(authenticate(&authenticator, &token).await, Ok(alice.clone()), "{header}");
    }
    assert_eq!(keys.fetches(), 1);
}

#[tokio::test]
async fn token_with_invalid_claims_is_refused() {
    let key = SigningKey::elliptic("e").unwrap();
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
        let refused = authenticate(&authenticator, &key.token(&claims).unwrap()).await;
        assert!(is_invalid(&refused), "{refused:?} {claims}");
    }
    let twice = claims().to_string().replacen('{', r#"{"sub":"00u2","#, 1);
    let nested = claims().to_string().replacen('{', r#"{"realm_access":{"roles":[],"roles":["admin"]},"#, 1);
    for repeated in [twice, nested] {
        let token = key.sign(&key.header().to_string(), &repeated).unwrap();
        assert!(is_invalid(&authenticate(&authenticator, &token).await), "{repeated}");
    }
}

#[tokio::test]
async fn token_with_invalid_header_or_signature_is_refused() {
    let (rsa, elliptic) = (SigningKey::rsa("r").unwrap(), SigningKey::elliptic("e").unwrap());
    let stranger = SigningKey::elliptic("e").unwrap();
    let keys = JwksFixture::default();
    keys.publish(&[&rsa, &elliptic]);
    let (authenticator, _) = authenticator(keys);
    let header = |name: &str, value: Value| {
        let mut header = elliptic.header();
        header[name] = value;
        elliptic.sign(&header.to_string(), &claims().to_string()).unwrap()
    };
    let public_key = rsa.jwk().unwrap()["n"].as_str().unwrap().to_owned();
    let secret = SigningKey::secret("r", &BASE64_URL_SAFE_NO_PAD.decode(&public_key).unwrap());
    let valid = elliptic.token(&claims()).unwrap();
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
        secret.token(&claims()).unwrap(),
        stranger.token(&claims()).unwrap(),
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
    let key = SigningKey::elliptic("e").unwrap();
    let keys = JwksFixture::default();
    keys.publish(&[&key]);
    let (authenticator, _) = authenticator(keys);
    for claims in [without("scope"), with("scope", json!("aws2 xaws")), with("scope", json!("AWS"))] {
        let refused = authenticate(&authenticator, &key.token(&claims).unwrap()).await;
        assert_eq!(refused, Err(Refusal::InsufficientScope(vec!["aws".to_owned()])), "{claims}");
    }
    let refused = authenticate(&authenticator, &key.token(&with("sub", json!("00u2"))).unwrap()).await;
    assert_eq!(refused, Err(Refusal::UnknownPrincipal));
}

#[tokio::test]
async fn issuer_algorithms_refuse_other_signatures() {
    let es256 = |issuer: JwtIssuerBuilder| issuer.audience(AUDIENCE).algorithm("ES256");
    let rs256 = |issuer: JwtIssuerBuilder| issuer.audience(AUDIENCE).algorithm("RS256").algorithm("PS256");
    assert!(accepts(&claims(), es256).await);
    assert!(!accepts(&claims(), rs256).await);
}

#[tokio::test]
async fn issuer_clients_refuse_tokens_of_other_clients() {
    let of_client = |issuer: JwtIssuerBuilder| issuer.audience(AUDIENCE).client("0oa1").client("0oa2");
    for name in ["azp", "client_id", "cid", "appid"] {
        assert!(accepts(&with(name, json!("0oa2")), of_client).await, "{name}");
        assert!(!accepts(&with(name, json!("0oa3")), of_client).await, "{name}");
        assert!(!accepts(&with(name, json!(["0oa1"])), of_client).await, "{name}");
    }
    assert!(!accepts(&claims(), of_client).await);
    let mut contradictory = with("azp", json!("0oa1"));
    contradictory["client_id"] = json!("0oa3");
    assert!(!accepts(&contradictory, of_client).await);
}

#[tokio::test]
async fn issuer_without_audience_needs_token_use_and_client() {
    let cognito = |issuer: JwtIssuerBuilder| issuer.token_use("access").client("7abc");
    let mut claims = without("aud");
    claims["client_id"] = json!("7abc");
    claims["token_use"] = json!("access");
    assert!(accepts(&claims, cognito).await);
    for (name, value) in [
        ("token_use", json!("id")),
        ("token_use", Value::Null),
        ("client_id", json!("7abd")),
        ("aud", json!("another")),
        ("aud", json!([])),
    ] {
        let mut changed = claims.clone();
        changed[name] = value;
        assert!(!accepts(&changed, cognito).await, "{changed}");
    }
    let alice = || "alice".parse().unwrap();
    let issuer = || JwtIssuer::builder(ISSUER, StaticJwks::new(Vec::new())).principal("00u1", alice());
    assert_eq!(issuer().token_use("access").build().unwrap_err().field(), Some("audience"));
    assert_eq!(issuer().client("7abc").build().unwrap_err().field(), Some("audience"));
}

#[tokio::test]
async fn issuer_scope_claim_is_the_only_one_read() {
    let in_scp =
        |issuer: JwtIssuerBuilder| issuer.audience(AUDIENCE).required_scope("aws").scope_claim("scp");
    assert!(!accepts(&claims(), in_scp).await, "the scopes are in `scope`");
    assert!(accepts(&with("scp", json!("openid aws")), in_scp).await);
    assert!(accepts(&with("scp", json!(["openid", "aws"])), in_scp).await);
    assert!(!accepts(&with("scp", json!(["aws", 1])), in_scp).await);
}

#[tokio::test]
async fn issuer_subject_claims_identify_tenant_and_user() {
    let entra = |issuer: JwtIssuerBuilder| {
        let issuer = issuer.audience(AUDIENCE).subject_claims(["tid", "oid"]);
        issuer.principal("t1/o1", "alice".parse().unwrap())
    };
    let of = |tenant: Value, user: Value| {
        let mut claims = without("sub");
        claims["tid"] = tenant;
        claims["oid"] = user;
        claims
    };
    assert!(accepts(&of(json!("t1"), json!("o1")), entra).await);
    for claims in [
        of(json!("t2"), json!("o1")),
        of(json!("t1"), Value::Null),
        of(json!("t1"), json!("")),
        of(json!("t1/o1"), json!("")),
        of(json!(1), json!("o1")),
        with("sub", json!("t1/o1")),
    ] {
        assert!(!accepts(&claims, entra).await, "{claims}");
    }
    let slash = |issuer: JwtIssuerBuilder| {
        let issuer = issuer.audience(AUDIENCE).subject_claims(["tid", "oid"]);
        issuer.principal("a/b/c", "mallory".parse().unwrap())
    };
    for (tenant, user) in [("a/b", "c"), ("a", "b/c")] {
        assert!(!accepts(&of(json!(tenant), json!(user)), slash).await, "both would be the same subject");
    }
}

#[tokio::test]
async fn claim_rules_make_each_subject_a_principal() {
    let key = SigningKey::elliptic("e").unwrap();
    let keys = JwksFixture::default();
    keys.publish(&[&key]);
    let (authenticator, _) = authenticator_with(keys, |issuer| {
        issuer
            .name("okta")
            .audience(AUDIENCE)
            .principal("00u1", "alice".parse().unwrap())
            .rule(ClaimRule::new("engineers").claim("groups", "eng").claim("email_verified", true))
            .rule(ClaimRule::new("admins").claim("/realm_access/roles", "admin"))
            .keep_claim("email")
            .keep_claim("level")
            .keep_claim("groups")
    });
    let claims = json!({
        "groups": ["all", "eng"], "email_verified": true, "realm_access": {"roles": ["admin"]},
        "email": "bob@example.com", "level": 3,
    });
    let token = |subject: &str, changes: &[(&str, Value)]| {
        let mut all = with("sub", json!(subject));
        let changes = changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone().into_iter().chain(changes));
        key.token(&all).unwrap()
    };
    let bob = |rules: &[&str]| {
        let caller = VerifiedCaller::new("00u2@okta".parse().unwrap());
        let caller = rules.iter().fold(caller, |caller, rule| caller.with_rule(*rule));
        Ok(caller.with_claim("email", "bob@example.com").with_claim("level", "3"))
    };
    assert_eq!(authenticate(&authenticator, &token("00u2", &[])).await, bob(&["admins", "engineers"]));
    let engineer = token("00u2", &[("realm_access", Value::Null)]);
    assert_eq!(authenticate(&authenticator, &engineer).await, bob(&["engineers"]));
    let listed = authenticate(&authenticator, &token("00u1", &[])).await.unwrap();
    assert_eq!((listed.principal().as_str(), listed.rules().count()), ("alice", 0));
    for changes in [
        [("groups", json!("English")), ("realm_access", Value::Null)],
        [("groups", json!([["eng"]])), ("realm_access", Value::Null)],
        [("email_verified", json!("true")), ("realm_access", json!({"roles": "administrators"}))],
    ] {
        let refused = authenticate(&authenticator, &token("00u2", &changes)).await;
        assert_eq!(refused, Err(Refusal::UnknownPrincipal), "{changes:?}");
    }
    let unprintable = authenticate(&authenticator, &token("00u2\u{202e}", &[])).await;
    assert_eq!(unprintable, Err(Refusal::UnknownPrincipal));
}

#[derive(Debug)]
struct ExchangeDouble;

#[async_trait]
impl TokenExchange for ExchangeDouble {
    async fn exchange(&self, token: SecretString) -> Result<SecretString> {
        Ok(format!("exchanged {}", token.expose_secret()).into())
    }
}

#[tokio::test]
async fn kept_token_is_newest_and_may_be_exchanged() {
    let key = SigningKey::elliptic("e").unwrap();
    let keys = JwksFixture::default();
    keys.publish(&[&key]);
    let issuer =
        |issuer: JwtIssuerBuilder| issuer.audience(AUDIENCE).principal("00u1", "alice".parse().unwrap());
    let (dropping, _) = authenticator_with(keys.clone(), issuer);
    let (keeping, _) = authenticator_with(keys.clone(), |builder| issuer(builder).keep_token());
    let (exchanging, _) = authenticator_with(keys, |builder| issuer(builder).token_exchange(ExchangeDouble));
    let token = |expires_at: u64| key.token(&with("exp", json!(expires_at))).unwrap();
    let [old, new] = [token(NOW + 100), token(NOW + 200)];
    assert!(authenticate(&dropping, &old).await.unwrap().token().is_none());
    let opened = authenticate(&keeping, &old).await.unwrap();
    for (later, expected) in [(&new, &new), (&old, &new)] {
        opened.renew_token(&authenticate(&keeping, later).await.unwrap());
        assert_eq!(opened.token().unwrap().secret().await.unwrap().expose_secret(), expected.as_str());
    }
    assert!(!format!("{opened:?} {:?}", opened.token()).contains(&new));
    let exchanged = authenticate(&exchanging, &old).await.unwrap();
    let secret = exchanged.token().unwrap().secret().await.unwrap();
    assert_eq!(secret.expose_secret(), format!("exchanged {old}"));
}

#[test]
fn principal_that_a_rule_could_derive_is_invalid() {
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let issuer = |url: &str, name: &str| {
        let issuer = JwtIssuer::builder(url, StaticJwks::new(Vec::new())).audience(AUDIENCE);
        issuer.name(name).rule(ClaimRule::new("all").claim("tid", "t1"))
    };
    let own = "00u1@okta".parse::<Principal>().unwrap();
    let by_rule = || issuer(ISSUER, "okta").build().unwrap();
    let bearer = Authenticator::bearer;
    for refused in [
        bearer().issuer(by_rule()).unwrap().token(digest, own.clone()),
        bearer().token(digest, own.clone()).unwrap().issuer(by_rule()),
        bearer().issuer(issuer(ISSUER, "okta").principal("00u9", own.clone()).build().unwrap()),
        bearer()
            .issuer(by_rule())
            .unwrap()
            .issuer(issuer("https://other.example", "other").principal("1", own.clone()).build().unwrap()),
        bearer().issuer(by_rule()).unwrap().issuer(issuer("https://other.example", "okta").build().unwrap()),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let other = "00u1@my-okta".parse().unwrap();
    assert!(bearer().issuer(by_rule()).unwrap().token(digest, other).is_ok());
}

#[test]
fn claim_rule_without_condition_or_name_is_invalid() {
    let issuer = |rule: ClaimRule| {
        JwtIssuer::builder(ISSUER, StaticJwks::new(Vec::new())).audience(AUDIENCE).rule(rule)
    };
    let rule = || ClaimRule::new("all").claim("tid", "t1");
    assert!(issuer(rule()).name("okta").build().is_ok());
    for (refused, field) in [
        (issuer(rule()), "name"),
        (issuer(rule()).name("a/b"), "name"),
        (issuer(ClaimRule::new("all")).name("okta"), "claims"),
        (issuer(rule().claim("groups", json!(["a"]))).name("okta"), "claims"),
        (issuer(rule()).name("okta").algorithm("HS256"), "algorithms"),
        (issuer(rule()).name("okta").algorithm("none"), "algorithms"),
    ] {
        assert_eq!(refused.build().unwrap_err().field(), Some(field));
    }
}

#[tokio::test]
async fn cached_token_is_refused_after_its_expiry() {
    let key = SigningKey::elliptic("e").unwrap();
    let keys = JwksFixture::default();
    keys.publish(&[&key]);
    let (authenticator, clock) = authenticator(keys);
    let token = key.token(&with("exp", json!(NOW + 10))).unwrap();
    assert!(authenticate(&authenticator, &token).await.is_ok());
    clock.advance(Duration::from_secs(71));
    assert!(is_invalid(&authenticate(&authenticator, &token).await));
}

#[tokio::test(start_paused = true)]
async fn rotated_key_is_fetched_and_the_old_one_refused() {
    let (old, new) = (SigningKey::elliptic("old").unwrap(), SigningKey::elliptic("new").unwrap());
    let keys = JwksFixture::default();
    keys.publish(&[&old]);
    let (authenticator, _) = authenticator(keys.clone());
    let (by_old, by_new) = (old.token(&claims()).unwrap(), new.token(&claims()).unwrap());
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
    let key = SigningKey::elliptic("e").unwrap();
    let keys = JwksFixture::default();
    let (authenticator, _) = authenticator(keys.clone());
    let token = |n: u64| key.token(&with("jti", json!(n))).unwrap();
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
    let good = SigningKey::elliptic("e").unwrap().jwk().unwrap();
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
