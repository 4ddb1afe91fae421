//! `Authenticator`: finds the principal of a request by its bearer token.

mod authority;
mod bearer;
mod caller;
mod caller_token;
mod claim_rule;
mod claims;
mod issuer_builder;
mod jwks;
mod jwks_url;
mod jwt;
mod keys;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use hyper::Uri;
use hyper::header::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use valetkey_core::{Error, Principal, Result};

pub(super) use authority::{Authority, Lease, LeaseEnd};
pub use caller::VerifiedCaller;
pub use caller_token::{CallerToken, TokenExchange};
pub use claim_rule::ClaimRule;
pub use issuer_builder::JwtIssuerBuilder;
pub use jwks::{JwksSource, StaticJwks};
pub use jwks_url::JwksUrl;
pub use jwt::JwtIssuer;

use authority::Proof;
use bearer::bearer_token;

/// Finds the principal of a request.
///
/// A token is either one of a fixed list, of which the gateway knows only SHA-256 digests, or a JSON Web Token of a
/// configured issuer. Digests are compared in constant time. A token is never logged, and is not passed on to tools,
/// servers and their processes.
///
/// # Examples
/// ```
/// use valetkey_mcp::http::Authenticator;
///
/// // The digest of the token, as `printf %s "$TOKEN" | sha256sum` prints it.
/// let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// let authenticator = Authenticator::bearer().token(digest, "alice".parse()?)?;
/// # drop(authenticator);
/// # Ok::<(), valetkey_core::Error>(())
/// ```
pub struct Authenticator {
    /// The principal of every request, if requests are not authenticated.
    anonymous: Option<Principal>,
    tokens: Vec<(TokenDigest, Principal)>,
    issuers: Vec<Arc<JwtIssuer>>,
}

/// The SHA-256 digest of a token.
type TokenDigest = [u8; 32];

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has no bearer token.
    NoToken,
    /// It is malformed: two tokens, or a token where none may be.
    Malformed(&'static str),
    /// Its token is not valid.
    InvalidToken(&'static str),
    /// Its token is valid for a principal that is not configured.
    UnknownPrincipal,
    /// Its token lacks scopes. All that its issuer requires are listed.
    InsufficientScope(Vec<String>),
    /// The keys of the issuer cannot be fetched.
    Unavailable,
}

impl Authenticator {
    /// Accepts every request, and takes its sender for `principal`. A gateway accepts this only on a loopback address:
    /// every user of the machine then acts as this principal.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::http::Authenticator;
    ///
    /// let authenticator = Authenticator::none("developer".parse()?);
    /// # drop(authenticator);
    /// # Ok::<(), valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn none(principal: Principal) -> Self {
        Self { anonymous: Some(principal), tokens: Vec::new(), issuers: Vec::new() }
    }

    /// Accepts requests with a bearer token. Without further calls, no token is valid.
    #[must_use]
    pub fn bearer() -> Self {
        Self { anonymous: None, tokens: Vec::new(), issuers: Vec::new() }
    }

    /// Accepts the token whose SHA-256 digest is `digest`, in 64 hexadecimal digits, as a token of `principal`.
    ///
    /// A principal may have several tokens, so that a token can be replaced while clients still use the old one.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::ErrorKind;
    /// use valetkey_mcp::http::Authenticator;
    ///
    /// let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    /// let authenticator = Authenticator::bearer().token(digest, "alice".parse()?)?;
    /// // One token cannot belong to two principals.
    /// let error = authenticator.token(digest, "bob".parse()?).unwrap_err();
    /// assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("token_sha256")));
    /// # Ok::<(), valetkey_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when `digest` is not such a digest, or is that of another principal's token; or when the principal could
    /// be that of a caller that a rule of an issuer accepts.
    pub fn token(mut self, digest: &str, principal: Principal) -> Result<Self> {
        self.add_token(digest, principal)?;
        Ok(self)
    }

    /// Like [`token`](Self::token), for a caller that continues after an error.
    ///
    /// # Errors
    /// As [`token`](Self::token). The authenticator is then unchanged.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::http::Authenticator;
    ///
    /// let mut authenticator = Authenticator::bearer();
    /// for (principal, digest) in [("alice", "9f86d081884c"), ("bob", "")] {
    ///     if let Err(error) = authenticator.add_token(digest, principal.parse()?) {
    ///         assert_eq!(error.field(), Some("token_sha256"));
    ///         eprintln!("{principal}: {error}");
    ///     }
    /// }
    /// # Ok::<(), valetkey_core::Error>(())
    /// ```
    pub fn add_token(&mut self, digest: &str, principal: Principal) -> Result<()> {
        let invalid = || {
            Error::invalid("token_sha256", "must be a SHA-256 digest, in 64 hexadecimal digits")
                .with_next_step("print it with `printf %s \"$TOKEN\" | sha256sum`")
        };
        let digest = decode_hex(digest).ok_or_else(invalid)?;
        if self.tokens.iter().any(|(known, _)| *known == digest) {
            return Err(Error::invalid("token_sha256", "occurs twice"));
        }
        if self.may_derive(&principal) {
            return Err(derived_principal_error());
        }
        self.tokens.push((digest, principal));
        Ok(())
    }

    /// Accepts the tokens of an issuer.
    ///
    /// # Examples
    /// ```
    /// use valetkey_mcp::http::{Authenticator, JwtIssuer, StaticJwks};
    ///
    /// let keys = StaticJwks::new(br#"{"keys": []}"#.to_vec());
    /// let issuer = JwtIssuer::builder("https://login.example.com", keys)
    ///     .audience("https://mcp.example.com/mcp")
    ///     .principal("00u1abcd", "alice".parse()?)
    ///     .build()?;
    /// let authenticator = Authenticator::bearer().issuer(issuer)?;
    /// # drop(authenticator);
    /// # Ok::<(), valetkey_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when the issuer or its name was added before, or when a rule could give a caller the principal of a
    /// token or of a subject.
    pub fn issuer(mut self, issuer: JwtIssuer) -> Result<Self> {
        self.add_issuer(issuer)?;
        Ok(self)
    }

    /// Like [`issuer`](Self::issuer), for a caller that continues after an error.
    ///
    /// # Errors
    /// As [`issuer`](Self::issuer). The authenticator is then unchanged.
    pub fn add_issuer(&mut self, issuer: JwtIssuer) -> Result<()> {
        let added = issuer.rules();
        if self.issuers.iter().any(|known| known.rules().issuer == added.issuer) {
            return Err(Error::invalid("issuer", "occurs twice"));
        }
        if added.name.is_some() && self.issuers.iter().any(|known| known.rules().name == added.name) {
            return Err(Error::invalid("name", "is the name of another issuer"));
        }
        let configured = self.tokens.iter().map(|(_, principal)| principal).chain(added.principals.values());
        let others = self.issuers.iter().flat_map(|known| known.rules().principals.values());
        let is_derived = |principal| added.may_derive(principal);
        let is_derived_by_other = |principal| self.may_derive(principal);
        if configured.chain(others).any(is_derived) || added.principals.values().any(is_derived_by_other) {
            return Err(derived_principal_error());
        }
        self.issuers.push(Arc::new(issuer));
        Ok(())
    }

    /// Whether requests are not authenticated.
    pub(super) fn is_anonymous(&self) -> bool {
        self.anonymous.is_some()
    }

    /// Whether a rule of an issuer could give a caller this principal.
    fn may_derive(&self, principal: &Principal) -> bool {
        self.issuers.iter().any(|issuer| issuer.rules().may_derive(principal))
    }

    /// Returns the URLs of the authorization servers.
    pub(super) fn authorization_servers(&self) -> Vec<&str> {
        self.issuers.iter().map(|issuer| issuer.rules().issuer.as_str()).collect()
    }

    /// Returns every scope that a token may need.
    pub(super) fn scopes(&self) -> Vec<&str> {
        let mut scopes: Vec<_> = self
            .issuers
            .iter()
            .flat_map(|issuer| &issuer.rules().required_scopes)
            .map(String::as_str)
            .collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }

    /// Returns the sender of a request.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> std::result::Result<Authority, Refusal> {
        if let Some(principal) = &self.anonymous {
            return Ok(Authority::new(VerifiedCaller::new(principal.clone()), Proof::None));
        }
        let token = bearer_token(headers, uri)?;
        let digest: TokenDigest = Sha256::digest(token.as_bytes()).into();
        if let Some(principal) = self.find_token(&digest) {
            return Ok(Authority::new(VerifiedCaller::new(principal.clone()), Proof::Token(digest)));
        }
        if self.issuers.is_empty() {
            return Err(Refusal::InvalidToken("the token is not valid"));
        }
        let issuer =
            claims::unverified_issuer(token).ok_or(Refusal::InvalidToken("the token is not valid"))?;
        let known = self.issuers.iter().find(|known| known.rules().issuer == issuer);
        known.ok_or(Refusal::InvalidToken("the token is of another issuer"))?.verify(token, &digest).await
    }

    /// Compares the digest with every known one, so that the time reveals nothing about them.
    fn find_token(&self, digest: &TokenDigest) -> Option<&Principal> {
        let (mut found, mut index) = (Choice::from(0), 0_u64);
        for (position, (known, _)) in (0_u64..).zip(&self.tokens) {
            let is_equal = known.ct_eq(digest);
            index.conditional_assign(&position, is_equal);
            found |= is_equal;
        }
        let index = usize::try_from(index).ok()?;
        if bool::from(found) { self.tokens.get(index).map(|(_, principal)| principal) } else { None }
    }
}

fn derived_principal_error() -> Error {
    Error::invalid("principal", "ends with the name of an issuer, and could be that of another caller")
        .with_next_step("rename the principal or the issuer")
}

/// Decodes a digest of exactly 64 hexadecimal digits, in either case.
fn decode_hex(text: &str) -> Option<TokenDigest> {
    let mut digest = TokenDigest::default();
    let digits: Vec<u8> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect::<Option<_>>()?;
    if digits.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(digest)
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("anonymous", &self.anonymous)
            .field("tokens", &self.tokens.len())
            .field("issuers", &self.authorization_servers())
            .finish()
    }
}
