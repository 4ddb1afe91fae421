//! `VerifiedCaller`: who sent a request, as far as it was verified.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use valetkey_core::Principal;

use super::CallerToken;

/// The verified sender of a request: its principal, and what an issuer states about it.
///
/// A session belongs to the caller that opened it. A later request reaches it only if its caller is equal: a token of
/// the same principal with other rules or claims could give the principal another authority. Two callers with other
/// tokens of the same statements are equal.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::VerifiedCaller;
///
/// let caller = VerifiedCaller::new("00u1@okta".parse()?).with_rule("engineers").with_claim("email", "alice@example.com");
/// assert_eq!(caller.principal().as_str(), "00u1@okta");
/// assert_eq!(caller.rules().collect::<Vec<_>>(), ["engineers"]);
/// assert_eq!(caller.claim("email"), Some("alice@example.com"));
/// // Claims may identify a person, so they are not printed.
/// assert!(!format!("{caller:?}").contains("alice@example.com"));
/// # Ok::<(), valetkey_core::Error>(())
/// ```
#[derive(Clone)]
pub struct VerifiedCaller {
    principal: Principal,
    statements: Arc<Statements>,
    token: Option<CallerToken>,
}

/// What an issuer states about a caller, sorted, so that equal statements compare equal.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
struct Statements {
    rules: Vec<String>,
    claims: BTreeMap<String, String>,
}

impl VerifiedCaller {
    /// Returns the same caller without the token of the request.
    pub(in crate::http) fn without_token(&self) -> Self {
        Self { principal: self.principal.clone(), statements: Arc::clone(&self.statements), token: None }
    }

    /// Creates a caller about which no issuer states anything.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        Self { principal, statements: Arc::default(), token: None }
    }

    /// Adds the name of a [`ClaimRule`](super::ClaimRule) that accepts the caller.
    #[must_use]
    pub fn with_rule(mut self, name: impl Into<String>) -> Self {
        let rules = &mut Arc::make_mut(&mut self.statements).rules;
        rules.push(name.into());
        rules.sort_unstable();
        self
    }

    /// Adds a claim.
    #[must_use]
    pub fn with_claim(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.statements).claims.insert(name.into(), value.into());
        self
    }

    /// Returns the principal, which owns the sessions.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the names of the [`ClaimRule`](super::ClaimRule)s that apply to the caller, sorted. A caller with a
    /// configured token, or whose subject is configured, has none.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.statements.rules.iter().map(String::as_str)
    }

    /// Returns a claim that the issuer was configured to
    /// [keep](super::JwtIssuerBuilder::keep_claim). Its value is the issuer's and may contain any character: check it
    /// before use.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.statements.claims.get(name).map(String::as_str)
    }
}

impl VerifiedCaller {
    /// Returns the token of the caller, if its issuer was configured to keep it.
    #[must_use]
    pub fn token(&self) -> Option<&CallerToken> {
        self.token.as_ref()
    }

    pub(super) fn with_token(mut self, token: CallerToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Returns a digest of the statements, which equal callers of one principal have in common. Empty without statements.
    pub(in crate::http) fn statements_digest(&self) -> String {
        let Statements { rules, claims } = &*self.statements;
        if rules.is_empty() && claims.is_empty() {
            return String::new();
        }
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            digest.update(text.len().to_be_bytes());
            digest.update(text);
        };
        add(&rules.len().to_string());
        rules.iter().for_each(|rule| add(rule));
        claims.iter().flat_map(|(name, value)| [name, value]).for_each(|text| add(text));
        hex::encode(digest.finalize())
    }

    /// Takes over the token of a later request of this caller.
    pub(in crate::http) fn renew_token(&self, later: &Self) {
        if let (Some(kept), Some(newer)) = (&self.token, &later.token) {
            kept.renew(newer);
        }
    }
}

impl Hash for VerifiedCaller {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.principal.hash(state);
        self.statements.hash(state);
    }
}

impl PartialEq for VerifiedCaller {
    fn eq(&self, other: &Self) -> bool {
        self.principal == other.principal && self.statements == other.statements
    }
}

impl Eq for VerifiedCaller {}

impl fmt::Debug for VerifiedCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedCaller")
            .field("principal", &self.principal)
            .field("rules", &self.statements.rules)
            .field("claims", &self.statements.claims.keys().collect::<Vec<_>>())
            .finish()
    }
}
