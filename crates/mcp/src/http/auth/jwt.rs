//! `JwtIssuer`: verifies the access tokens of one issuer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use jsonwebtoken::{Validation, decode};
use moka::sync::Cache;
use valetkey_core::Principal;

use super::authority::{Authority, LeaseEnd, Proof, VerifiedClaims};
use super::claims::{Claims, TokenHeader};
use super::issuer_builder::{IssuerRules, JwtIssuerBuilder};
use super::jwks::JwksSource;
use super::{CallerToken, Refusal, TokenDigest, VerifiedCaller};

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
/// are refused. Its sender is the principal that is configured for its subject, or else, if a [rule](super::ClaimRule)
/// applies, a principal of its own.
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
    rules: IssuerRules,
    verified: Cache<TokenDigest, VerifiedToken>,
}

/// A token that was verified. The cache has only its digest as the key, so it contains no token.
#[derive(Debug, Clone)]
struct VerifiedToken {
    caller: VerifiedCaller,
    expires_at: u64,
    verified: Arc<VerifiedClaims>,
}

impl JwtIssuer {
    /// Returns a builder for the issuer whose tokens have exactly this `iss`, and whose keys `keys` fetches.
    pub fn builder(issuer: impl Into<String>, keys: impl JwksSource) -> JwtIssuerBuilder {
        JwtIssuerBuilder::new(issuer.into(), keys)
    }

    pub(super) fn new(rules: IssuerRules) -> Self {
        let verified = Cache::builder().max_capacity(MAX_CACHED_TOKENS).time_to_live(MAX_CACHE_TIME).build();
        Self { rules, verified }
    }

    pub(super) fn rules(&self) -> &IssuerRules {
        &self.rules
    }

    /// Returns the sender of a token.
    pub(super) async fn verify(&self, token: &str, digest: &TokenDigest) -> Result<Authority, Refusal> {
        let now = self.now();
        if let Some(known) = self.verified.get(digest)
            && known.expires_at > now
        {
            let caller = self.keep_token(known.caller, token, known.expires_at);
            return Ok(Authority::new(caller, Proof::AccessToken(known.verified)));
        }
        let claims = self.verify_signature(token).await?;
        let expires_at = self.check_claims(&claims, now)?;
        let caller = self.find_caller(&claims)?;
        let verified = Arc::new(VerifiedClaims { claims, verified_at: now });
        let known = VerifiedToken { caller: caller.clone(), expires_at, verified: Arc::clone(&verified) };
        self.verified.insert(*digest, known);
        Ok(Authority::new(self.keep_token(caller, token, expires_at), Proof::AccessToken(verified)))
    }

    /// Whether these rules accept the claims that were verified before, and name the same caller.
    pub(super) fn accepts(&self, verified: &VerifiedClaims, caller: &VerifiedCaller, end: LeaseEnd) -> bool {
        let now = match end {
            LeaseEnd::Reload => verified.verified_at,
            LeaseEnd::Expiry => self.now(),
        };
        let claims = &verified.claims;
        self.check_claims(claims, now).is_ok()
            && self.find_caller(claims).is_ok_and(|accepted| accepted == *caller)
    }

    /// Adds the token to its sender, if it is to be kept.
    fn keep_token(&self, caller: VerifiedCaller, token: &str, expires_at: u64) -> VerifiedCaller {
        if !self.rules.keeps_token {
            return caller;
        }
        caller.with_token(CallerToken::new(token, expires_at, self.rules.exchange.clone()))
    }

    /// Verifies the signature of a token, and that it names this issuer.
    async fn verify_signature(&self, token: &str) -> Result<Claims, Refusal> {
        let invalid = || Refusal::InvalidToken("the token is not valid");
        let header = TokenHeader::parse(token).filter(TokenHeader::is_acceptable).ok_or_else(invalid)?;
        let current = self.rules.keys.keys_for(header.kid.as_deref()).await.ok_or(Refusal::Unavailable)?;
        if current.changed {
            // Tokens of keys that the issuer has removed.
            self.verified.invalidate_all();
        }
        let key = current.keys.find(header.kid.as_deref()).ok_or_else(invalid)?;
        let algorithm = key.algorithm(&header.alg).filter(|algorithm| self.rules.allows(*algorithm));
        let mut validation = Validation::new(algorithm.ok_or_else(invalid)?);
        validation.set_required_spec_claims(&["exp", "iss"]);
        validation.set_issuer(&[&self.rules.issuer]);
        // The audience and the time are checked below: the time by the clock of this issuer.
        validation.validate_aud = false;
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &key.key, &validation).map_err(|_| invalid())?.claims;
        if claims.text("iss") != Some(&self.rules.issuer) {
            return Err(Refusal::InvalidToken("the token is of another issuer"));
        }
        Ok(claims)
    }

    /// Checks the claims of a token whose signature is valid, and returns its expiry.
    fn check_claims(&self, claims: &Claims, now: u64) -> Result<u64, Refusal> {
        let rules = &self.rules;
        let expires_at = claims.expires_at().ok_or(Refusal::InvalidToken("the token is not valid"))?;
        if expires_at.saturating_add(LEEWAY) <= now || !claims.has_begun(now, LEEWAY) {
            return Err(Refusal::InvalidToken("the token has expired, or is not valid yet"));
        }
        let is_for_gateway = match rules.audiences.as_slice() {
            // Such an issuer writes no audience, and its clients are checked. An audience would be another resource.
            [] => !claims.has_audience(),
            audiences => claims.is_for(audiences),
        };
        if !is_for_gateway {
            return Err(Refusal::InvalidToken("the token is for another audience"));
        }
        let has_other_use =
            rules.token_use.as_deref().is_some_and(|used| claims.text("token_use") != Some(used));
        if claims.is_id_token() || has_other_use {
            return Err(Refusal::InvalidToken("the token is no access token of a user"));
        }
        if !rules.clients.is_empty() && !claims.is_of_client(&rules.clients) {
            return Err(Refusal::InvalidToken("the token is of another client"));
        }
        if !rules.required_scopes.iter().all(|scope| rules.has_scope(claims, scope)) {
            return Err(Refusal::InsufficientScope(rules.required_scopes.clone()));
        }
        Ok(expires_at)
    }

    /// Returns the sender of a token whose claims were checked.
    fn find_caller(&self, claims: &Claims) -> Result<VerifiedCaller, Refusal> {
        let subject = self.rules.subject(claims);
        let subject = subject.ok_or(Refusal::InvalidToken("the token is no access token of a user"))?;
        let caller = match self.rules.principals.get(&subject) {
            Some(principal) => VerifiedCaller::new(principal.clone()),
            None => self.find_caller_by_rule(&subject, claims)?,
        };
        let kept = self.rules.kept_claims.iter().filter_map(|name| Some((name, claims.scalar(name)?)));
        Ok(kept.fold(caller, |caller, (name, value)| caller.with_claim(name, value)))
    }

    /// Returns a principal of this subject's own, if a rule applies to it.
    fn find_caller_by_rule(&self, subject: &str, claims: &Claims) -> Result<VerifiedCaller, Refusal> {
        let mut applying = self.rules.rules.iter().filter(|rule| rule.applies_to(claims)).peekable();
        if applying.peek().is_none() {
            return Err(Refusal::UnknownPrincipal);
        }
        let name = self.rules.name.as_deref().unwrap_or_default();
        let principal: Principal =
            format!("{subject}@{name}").parse().map_err(|_| Refusal::UnknownPrincipal)?;
        Ok(applying.fold(VerifiedCaller::new(principal), |caller, rule| caller.with_rule(&rule.name)))
    }

    /// Returns the time in seconds since 1970.
    fn now(&self) -> u64 {
        self.rules.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

impl fmt::Debug for JwtIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtIssuer").field("issuer", &self.rules.issuer).finish_non_exhaustive()
    }
}
