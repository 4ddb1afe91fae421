//! The parts of a JSON Web Token that are read: its header and its claims. Both are read strictly.
//!
//! An object that repeats a member is refused, so that no other reader of the token can see another value.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The header of a token.
#[derive(Debug, Deserialize)]
pub(super) struct TokenHeader {
    pub(super) alg: String,
    #[serde(default)]
    pub(super) kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    /// Extensions that a reader must understand. None is supported.
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl TokenHeader {
    /// Parses the header of a token.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, _claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()
    }

    /// Whether a token with this header can be an access token.
    pub(super) fn is_acceptable(&self) -> bool {
        let typ = self.typ.as_deref().map(str::to_ascii_lowercase);
        let is_known = matches!(typ.as_deref(), None | Some("jwt" | "at+jwt" | "application/at+jwt"));
        is_known && self.crit.is_none()
    }
}

/// The claims of a token.
#[derive(Debug)]
pub(super) struct Claims(Value);

impl Claims {
    /// Returns a claim, by its name or by a JSON pointer, which begins with `/`.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        if name.starts_with('/') { self.0.pointer(name) } else { self.0.get(name) }
    }

    /// Returns a claim that is a string.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Returns a claim that is a string, a number or a boolean as text.
    pub(super) fn scalar(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            number @ Value::Number(_) => Some(number.to_string()),
            Value::Bool(is_true) => Some(is_true.to_string()),
            _ => None,
        }
    }

    /// Returns a claim that issuers write as a string or as an array of strings. It is empty if it is missing or
    /// malformed.
    fn one_or_many(&self, name: &str) -> Vec<&str> {
        match self.get(name) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => {
                many.iter().map(Value::as_str).collect::<Option<_>>().unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn has_audience(&self) -> bool {
        self.get("aud").is_some()
    }

    pub(super) fn is_for(&self, audiences: &[String]) -> bool {
        self.one_or_many("aud").into_iter().any(|aud| audiences.iter().any(|audience| audience == aud))
    }

    /// Whether a claim contains this scope. Its scopes are an array, or are separated by blanks.
    pub(super) fn has_scope(&self, claim: &str, scope: &str) -> bool {
        self.one_or_many(claim).into_iter().flat_map(|scopes| scopes.split(' ')).any(|one| one == scope)
    }

    /// Whether the token was issued to one of these clients. Issuers disagree on the name of the claim; each of them
    /// that the token has must name one of the clients.
    pub(super) fn is_of_client(&self, clients: &[String]) -> bool {
        let named = ["azp", "client_id", "cid", "appid"].into_iter().filter_map(|name| self.get(name));
        let mut named = named.peekable();
        named.peek().is_some()
            && named.all(|value| value.as_str().is_some_and(|id| clients.iter().any(|client| client == id)))
    }

    /// Whether the token authenticates its user to a client, and is not for a resource.
    pub(super) fn is_id_token(&self) -> bool {
        ["nonce", "at_hash", "c_hash"].into_iter().any(|name| self.get(name).is_some())
            || self.get("token_use").is_some_and(|token_use| token_use != "access")
    }

    /// Returns the expiry in seconds since 1970.
    pub(super) fn expires_at(&self) -> Option<u64> {
        self.get("exp")?.as_u64()
    }

    /// Whether the token is valid already, and was not issued in the future, with this difference between clocks.
    pub(super) fn has_begun(&self, now: u64, leeway: u64) -> bool {
        ["nbf", "iat"]
            .into_iter()
            .filter_map(|name| self.get(name))
            .all(|value| value.as_u64().is_some_and(|seconds| seconds <= now.saturating_add(leeway)))
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StrictValue(claims) = StrictValue::deserialize(deserializer)?;
        if claims.is_object() { Ok(Self(claims)) } else { Err(D::Error::custom("not an object")) }
    }
}

/// A JSON value in which no object repeats a member.
struct StrictValue(Value);

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(StrictValue(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some((name, StrictValue(value))) = members.next_entry::<String, _>()? {
            if read.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(read.into())
    }
}

/// Returns the issuer that a token names, before it is verified.
pub(super) fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let claims = token.split('.').nth(1)?;
    let claims: Issuer = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims.iss)
}
