//! `JwtIssuerBuilder`: the rules by which the tokens of an issuer are accepted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonwebtoken::Algorithm;
use valetkey_core::{AccountName, Clock, Error, Principal, Result, SystemClock};

use super::claims::Claims;
use super::jwks::{JwksSource, KeyCache};
use super::keys::is_asymmetric;
use super::{ClaimRule, JwtIssuer, TokenExchange, VerifiedCaller};

/// Configures a [`JwtIssuer`]. Created by [`JwtIssuer::builder`].
///
/// | setting | meaning | default |
/// |---|---|---|
/// | [`audience`](Self::audience) | what tokens are issued for | required, except with `token_use` and `client` |
/// | [`principal`](Self::principal), [`rule`](Self::rule) | whose tokens are accepted | one is required |
/// | [`name`](Self::name) | the name of the issuer in principals | required with `rule` |
/// | [`algorithm`](Self::algorithm) | how tokens are signed | every algorithm for the key |
/// | [`subject_claims`](Self::subject_claims) | the claims that identify a user | `sub` |
/// | [`scope_claim`](Self::scope_claim) | the claim with the scopes | `scope` and `scp` |
/// | [`required_scope`](Self::required_scope) | the scopes that every token has | none |
/// | [`client`](Self::client) | the clients to which tokens are issued | any |
/// | [`token_use`](Self::token_use) | the value of `token_use` | `access`, if present |
/// | [`keep_claim`](Self::keep_claim) | the claims that [`VerifiedCaller`](super::VerifiedCaller) has | none |
/// | [`keep_token`](Self::keep_token), [`token_exchange`](Self::token_exchange) | whether it has the token | no |
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
pub struct JwtIssuerBuilder {
    rules: IssuerRules,
    algorithms: Vec<String>,
}

/// The rules by which tokens of the issuer are accepted, and its keys.
pub(super) struct IssuerRules {
    pub(super) issuer: String,
    pub(super) name: Option<String>,
    /// Empty if every algorithm for the key is allowed.
    algorithms: Vec<Algorithm>,
    pub(super) audiences: Vec<String>,
    subject_claims: Vec<String>,
    scope_claims: Vec<String>,
    pub(super) required_scopes: Vec<String>,
    pub(super) clients: Vec<String>,
    pub(super) token_use: Option<String>,
    pub(super) principals: HashMap<String, Principal>,
    pub(super) rules: Vec<ClaimRule>,
    pub(super) kept_claims: Vec<String>,
    pub(super) keeps_token: bool,
    pub(super) exchange: Option<Arc<dyn TokenExchange>>,
    pub(super) keys: KeyCache,
    pub(super) clock: Arc<dyn Clock>,
}

impl IssuerRules {
    pub(super) fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.is_empty() || self.algorithms.contains(&algorithm)
    }

    pub(super) fn has_scope(&self, claims: &Claims, scope: &str) -> bool {
        self.scope_claims.iter().any(|claim| claims.has_scope(claim, scope))
    }

    /// Returns the subject of a token: the subject claims, separated by `/`.
    pub(super) fn subject(&self, claims: &Claims) -> Option<String> {
        let is_composed = self.subject_claims.len() > 1;
        let parts: Option<Vec<_>> = self.subject_claims.iter().map(|name| claims.text(name)).collect();
        // A part with a separator could make the subjects of two users equal.
        let parts = parts.filter(|parts| {
            !parts.iter().any(|part| part.trim().is_empty() || (is_composed && part.contains('/')))
        });
        Some(parts?.join("/"))
    }

    /// Whether a rule could give a caller this principal.
    pub(super) fn may_derive(&self, principal: &Principal) -> bool {
        let rest = self.name.as_deref().and_then(|name| principal.as_str().strip_suffix(name));
        !self.rules.is_empty() && rest.is_some_and(|rest| rest.ends_with('@'))
    }

    /// Whether the rules that apply to a caller are rules of the issuer.
    pub(super) fn may_derive_caller(&self, caller: &VerifiedCaller) -> bool {
        let has_rule = |name| self.rules.iter().any(|rule| rule.name == name);
        self.may_derive(caller.principal()) && caller.rules().all(has_rule)
    }
}

impl JwtIssuerBuilder {
    pub(super) fn new(issuer: String, keys: impl JwksSource) -> Self {
        let rules = IssuerRules {
            issuer,
            name: None,
            algorithms: Vec::new(),
            audiences: Vec::new(),
            subject_claims: Vec::new(),
            scope_claims: Vec::new(),
            required_scopes: Vec::new(),
            clients: Vec::new(),
            token_use: None,
            principals: HashMap::new(),
            rules: Vec::new(),
            kept_claims: Vec::new(),
            keeps_token: false,
            exchange: None,
            keys: KeyCache::new(keys),
            clock: Arc::new(SystemClock),
        };
        Self { rules, algorithms: Vec::new() }
    }

    /// Names the issuer. A caller that a [`rule`](Self::rule) accepts is the principal `SUBJECT@NAME`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.rules.name = Some(name.into());
        self
    }

    /// Accepts this algorithm of signatures, such as `ES256` (default: every asymmetric one for keys of their type).
    pub fn algorithm(mut self, algorithm: impl Into<String>) -> Self {
        self.algorithms.push(algorithm.into());
        self
    }

    /// Accepts tokens for this audience, compared exactly. At least one is required, except for an issuer that writes no
    /// audience: its tokens are accepted by [`token_use`](Self::token_use) and [`client`](Self::client), and refused if
    /// they have an audience.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audiences.push(audience.into());
        self
    }

    /// Sets the claims that identify a user (default: `sub`). The values of several are joined by `/`, and may not
    /// contain it.
    pub fn subject_claims<C: Into<String>>(mut self, claims: impl IntoIterator<Item = C>) -> Self {
        self.rules.subject_claims = claims.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the claim that has the scopes, as an array or separated by blanks (default: `scope` and `scp`).
    pub fn scope_claim(mut self, claim: impl Into<String>) -> Self {
        self.rules.scope_claims = vec![claim.into()];
        self
    }

    /// Requires a scope of every token (default: none).
    pub fn required_scope(mut self, scope: impl Into<String>) -> Self {
        self.rules.required_scopes.push(scope.into());
        self
    }

    /// Accepts tokens that were issued to this client: `azp`, `client_id`, `cid` or `appid` (default: any client).
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.rules.clients.push(client.into());
        self
    }

    /// Requires this value of the claim `token_use`.
    pub fn token_use(mut self, token_use: impl Into<String>) -> Self {
        self.rules.token_use = Some(token_use.into());
        self
    }

    /// Takes tokens with this subject for tokens of `principal`. No rule applies to them.
    pub fn principal(mut self, subject: impl Into<String>, principal: Principal) -> Self {
        self.rules.principals.insert(subject.into(), principal);
        self
    }

    /// Accepts tokens whose claims satisfy `rule`. Each subject is a principal of its own.
    pub fn rule(mut self, rule: ClaimRule) -> Self {
        self.rules.rules.push(rule);
        self
    }

    /// Keeps a claim that is a string, a number or a boolean, for [`VerifiedCaller::claim`](super::VerifiedCaller::claim).
    /// A name that begins with `/` is a JSON pointer.
    pub fn keep_claim(mut self, name: impl Into<String>) -> Self {
        self.rules.kept_claims.push(name.into());
        self
    }

    /// Keeps the token of each caller for [`VerifiedCaller::token`](super::VerifiedCaller::token) (default: it is dropped
    /// when it was verified). Only a provider that exchanges the token for credentials of its user needs it.
    pub fn keep_token(mut self) -> Self {
        self.rules.keeps_token = true;
        self
    }

    /// Keeps the token of each caller, and exchanges it at each use.
    pub fn token_exchange(mut self, exchange: impl TokenExchange) -> Self {
        self.rules.exchange = Some(Arc::new(exchange));
        self.keep_token()
    }

    /// Sets the source of the time at which tokens expire (default: the system clock).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.rules.clock = clock;
        self
    }

    /// Builds the issuer.
    ///
    /// # Errors
    /// `Invalid` when the issuer is not an `https` URL (`http` on a loopback address); when no audience is given, or
    /// neither a principal nor a rule; when a rule has no condition, or the issuer has no name for it; or when an
    /// algorithm is unknown, or has no public keys.
    pub fn build(mut self) -> Result<JwtIssuer> {
        check_issuer(&self.rules.issuer)?;
        self.rules.algorithms =
            self.algorithms.iter().map(|name| parse_algorithm(name)).collect::<Result<_>>()?;
        self.check_audiences()?;
        self.check_callers()?;
        let rules = &mut self.rules;
        if rules.subject_claims.is_empty() {
            rules.subject_claims.push("sub".to_owned());
        }
        if rules.scope_claims.is_empty() {
            rules.scope_claims = vec!["scope".to_owned(), "scp".to_owned()];
        }
        Ok(JwtIssuer::new(self.rules))
    }

    fn check_audiences(&self) -> Result<()> {
        let rules = &self.rules;
        let may_be_absent = rules.token_use.is_some() && !rules.clients.is_empty();
        if (rules.audiences.is_empty() && !may_be_absent) || rules.audiences.iter().any(String::is_empty) {
            return Err(Error::invalid("audience", "must name what the tokens are issued for").with_next_step(
                "name it, or for an issuer that writes no `aud` the `token_use` and the clients of its tokens",
            ));
        }
        Ok(())
    }

    fn check_callers(&self) -> Result<()> {
        let rules = &self.rules;
        if rules.principals.is_empty() && rules.rules.is_empty() {
            return Err(Error::invalid(
                "principals",
                "must have a subject or a rule whose tokens are accepted",
            ));
        }
        rules.rules.iter().try_for_each(ClaimRule::check)?;
        match &rules.name {
            Some(name) => AccountName::parse("name", name).map(drop),
            None if rules.rules.is_empty() => Ok(()),
            None => Err(Error::invalid("name", "must be set, because principals by rule end with it")),
        }
    }
}

fn check_issuer(issuer: &str) -> Result<()> {
    let allowed = ["https://", "http://127.0.0.1", "http://localhost", "http://[::1]"];
    if allowed.iter().any(|prefix| issuer.starts_with(prefix)) {
        return Ok(());
    }
    Err(Error::invalid("issuer", "must be an `https` URL"))
}

fn parse_algorithm(name: &str) -> Result<Algorithm> {
    let parsed = name.parse().ok().filter(|algorithm| is_asymmetric(*algorithm));
    parsed.ok_or_else(|| {
        Error::invalid("algorithms", "must be algorithms with public keys")
            .with_next_step("name some of: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA")
    })
}

impl fmt::Debug for JwtIssuerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtIssuerBuilder").field("issuer", &self.rules.issuer).finish_non_exhaustive()
    }
}
