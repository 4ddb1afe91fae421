//! `JwtIssuer`: verifies the access tokens of one issuer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use jsonwebtoken::{Validation, decode};
use moka::sync::Cache;
use valetkey_core::{Clock, Error, Principal, Result, SystemClock};

use super::claims::{Claims, TokenHeader};
use super::jwks::{JwksSource, KeyCache};
use super::{Refusal, TokenDigest};

/// The maximum number of verified tokens that are remembered.
const MAX_CACHED_TOKENS: u64 = 10_000;
/// How long a token is not verified again, at most: a key that the issuer removed counts no longer after this time.
const MAX_CACHE_TIME: Duration = Duration::from_secs(5 * 60);
/// The difference between clocks that is allowed, in seconds.
const LEEWAY: u64 = 60;

/// Verifies the access tokens of one issuer, as a resource server of OAuth 2.1.
///
/// A token must be signed with a key of the issuer, by an algorithm for keys of that type; must name exactly this
/// issuer and one of the audiences; must have a subject and an expiry; and must have every required scope. ID tokens
/// are refused.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::{JwtIssuer, StaticJwks};
///
/// let keys = StaticJwks::new(br#"{"keys": []}"#.to_vec());
/// let issuer = JwtIssuer::builder("https://login.example.com", keys)
///     .audience("https://mcp.example.com/mcp")
///     .required_scope("aws")
///     .principal("00u1abcd", "alice".parse()?)
///     .build()?;
/// # drop(issuer);
/// # Ok::<(), valetkey_core::Error>(())
/// ```
pub struct JwtIssuer {
    config: IssuerConfig,
    verified: Cache<TokenDigest, VerifiedToken>,
}

/// What a builder sets: the rules by which tokens of the issuer are accepted, and its keys.
struct IssuerConfig {
    issuer: String,
    audiences: Vec<String>,
    required_scopes: Vec<String>,
    principals: HashMap<String, Principal>,
    keys: KeyCache,
    clock: Arc<dyn Clock>,
}

/// A token that was verified. The cache has only its digest as the key, so it contains no token.
#[derive(Debug, Clone)]
struct VerifiedToken {
    principal: Principal,
    expires_at: u64,
}

/// Configures a [`JwtIssuer`]. Created by [`JwtIssuer::builder`].
///
/// # Examples
/// ```
/// use valetkey_mcp::http::{JwtIssuer, StaticJwks};
///
/// let keys = StaticJwks::new(br#"{"keys": []}"#.to_vec());
/// // A token for another service must not open sessions here, so an audience is required.
/// let error = JwtIssuer::builder("https://login.example.com", keys).build().unwrap_err();
/// assert_eq!(error.field(), Some("audience"));
/// ```
#[must_use]
pub struct JwtIssuerBuilder(IssuerConfig);

impl JwtIssuer {
    /// Returns a builder for the issuer whose tokens have exactly this `iss`, and whose keys `keys` fetches.
    pub fn builder(issuer: impl Into<String>, keys: impl JwksSource) -> JwtIssuerBuilder {
        JwtIssuerBuilder(IssuerConfig {
            issuer: issuer.into(),
            audiences: Vec::new(),
            required_scopes: Vec::new(),
            principals: HashMap::new(),
            keys: KeyCache::new(keys),
            clock: Arc::new(SystemClock),
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    pub(super) fn required_scopes(&self) -> &[String] {
        &self.config.required_scopes
    }

    /// Returns the principal of a token.
    pub(super) async fn verify(
        &self,
        token: &str,
        digest: &TokenDigest,
    ) -> std::result::Result<Principal, Refusal> {
        let now = self.now();
        if let Some(known) = self.verified.get(digest)
            && known.expires_at > now
        {
            return Ok(known.principal);
        }
        let claims = self.verify_signature(token).await?;
        if claims.iss != self.config.issuer {
            return Err(Refusal::InvalidToken("the token is of another issuer"));
        }
        if !claims.is_for(&self.config.audiences) {
            return Err(Refusal::InvalidToken("the token is for another audience"));
        }
        if claims.sub.trim().is_empty() || claims.is_id_token() || claims.is_from_future(now) {
            return Err(Refusal::InvalidToken("the token is no access token of a user"));
        }
        if !self.config.required_scopes.iter().all(|scope| claims.has_scope(scope)) {
            return Err(Refusal::InsufficientScope);
        }
        let principal = self.config.principals.get(&claims.sub).cloned().ok_or(Refusal::UnknownPrincipal)?;
        let verified = VerifiedToken { principal: principal.clone(), expires_at: claims.exp };
        self.verified.insert(*digest, verified);
        Ok(principal)
    }

    /// Verifies the signature, the issuer, the audience and the validity of a token.
    async fn verify_signature(&self, token: &str) -> std::result::Result<Claims, Refusal> {
        let invalid = || Refusal::InvalidToken("the token is not valid");
        let header = TokenHeader::parse(token).filter(TokenHeader::is_acceptable).ok_or_else(invalid)?;
        let current = self.config.keys.keys_for(header.kid.as_deref()).await.ok_or(Refusal::Unavailable)?;
        if current.changed {
            // Tokens of keys that the issuer has removed.
            self.verified.invalidate_all();
        }
        let key = current.keys.find(header.kid.as_deref()).ok_or_else(invalid)?;
        let mut validation = Validation::new(key.algorithm(&header.alg).ok_or_else(invalid)?);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&self.config.audiences);
        validation.leeway = LEEWAY;
        // The time is checked below, with the clock of this issuer.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &key.key, &validation).map_err(|_| invalid())?.claims;
        let now = self.now();
        if claims.exp.saturating_add(LEEWAY) <= now || claims.is_not_yet_valid(now, LEEWAY) {
            return Err(Refusal::InvalidToken("the token has expired, or is not valid yet"));
        }
        Ok(claims)
    }

    /// Returns the time in seconds since 1970.
    fn now(&self) -> u64 {
        self.config.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

impl JwtIssuerBuilder {
    /// Accepts tokens for this audience, compared exactly. At least one is required.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.0.audiences.push(audience.into());
        self
    }

    /// Requires a scope of every token (default: none).
    pub fn required_scope(mut self, scope: impl Into<String>) -> Self {
        self.0.required_scopes.push(scope.into());
        self
    }

    /// Takes tokens with this `sub` for tokens of `principal`. A token with another subject is refused.
    pub fn principal(mut self, subject: impl Into<String>, principal: Principal) -> Self {
        self.0.principals.insert(subject.into(), principal);
        self
    }

    /// Sets the source of the time at which tokens expire (default: the system clock).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = clock;
        self
    }

    /// Builds the issuer.
    ///
    /// # Errors
    /// `Invalid` when the issuer is not an `https` URL (`http` on a loopback address), or when no audience or no
    /// principal is given.
    pub fn build(self) -> Result<JwtIssuer> {
        let is_local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        if !self.0.issuer.starts_with("https://")
            && !is_local.iter().any(|prefix| self.0.issuer.starts_with(prefix))
        {
            return Err(Error::invalid("issuer", "must be an `https` URL"));
        }
        if self.0.audiences.is_empty() || self.0.audiences.iter().any(String::is_empty) {
            return Err(Error::invalid("audience", "must name what the tokens are issued for"));
        }
        if self.0.principals.is_empty() {
            return Err(Error::invalid("principals", "must have a subject whose tokens are accepted"));
        }
        let verified = Cache::builder().max_capacity(MAX_CACHED_TOKENS).time_to_live(MAX_CACHE_TIME).build();
        Ok(JwtIssuer { config: self.0, verified })
    }
}

impl fmt::Debug for JwtIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtIssuer").field("issuer", &self.config.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for JwtIssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtIssuerBuilder").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}
