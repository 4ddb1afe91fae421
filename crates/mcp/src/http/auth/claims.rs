//! The parts of a JSON Web Token that are read: a strict header and strict claims.
//!
//! serde refuses a member that occurs twice, so that no other reader of the token can see another value.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

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
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) exp: u64,
    #[serde(default)]
    aud: Option<OneOrMany>,
    #[serde(default)]
    iat: Option<u64>,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    scope: Option<OneOrMany>,
    #[serde(default)]
    scp: Option<OneOrMany>,
    #[serde(default)]
    token_use: Option<String>,
    /// Claims that only ID tokens have.
    #[serde(default)]
    nonce: Option<IgnoredAny>,
    #[serde(default)]
    at_hash: Option<IgnoredAny>,
    #[serde(default)]
    c_hash: Option<IgnoredAny>,
}

/// A claim that issuers write as a string or as an array of strings.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn contains(&self, item: &str) -> bool {
        match self {
            Self::One(one) => one == item,
            Self::Many(many) => many.iter().any(|one| one == item),
        }
    }

    /// Whether the scopes, which may be separated by blanks, contain this one.
    fn contains_scope(&self, scope: &str) -> bool {
        let contains = |text: &str| text.split(' ').any(|one| one == scope);
        match self {
            Self::One(one) => contains(one),
            Self::Many(many) => many.iter().any(|one| contains(one)),
        }
    }
}

impl Claims {
    pub(super) fn is_for(&self, audiences: &[String]) -> bool {
        self.aud.as_ref().is_some_and(|aud| audiences.iter().any(|audience| aud.contains(audience)))
    }

    pub(super) fn has_scope(&self, scope: &str) -> bool {
        [&self.scope, &self.scp].into_iter().flatten().any(|scopes| scopes.contains_scope(scope))
    }

    /// Whether the token authenticates its user to a client, and is not for a resource.
    pub(super) fn is_id_token(&self) -> bool {
        self.nonce.is_some()
            || self.at_hash.is_some()
            || self.c_hash.is_some()
            || self.token_use.as_deref().is_some_and(|token_use| token_use != "access")
    }

    pub(super) fn is_not_yet_valid(&self, now: u64, leeway: u64) -> bool {
        self.nbf.is_some_and(|valid_from| valid_from > now.saturating_add(leeway))
    }

    /// Whether the token was issued after `now`, in seconds, with a minute for clocks that differ.
    pub(super) fn is_from_future(&self, now: u64) -> bool {
        self.iat.is_some_and(|issued_at| issued_at > now.saturating_add(60))
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
