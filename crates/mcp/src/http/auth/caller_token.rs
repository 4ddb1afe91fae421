//! `CallerToken`: the access token of a caller, for a provider that exchanges it for credentials.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use valetkey_core::{Result, SecretString};

/// Exchanges the token of a caller for a token of the same user that another service accepts, for example by OAuth 2.0
/// Token Exchange (RFC 8693) at the authorization server of the gateway.
///
/// # Examples
/// ```
/// use async_trait::async_trait;
/// use valetkey_core::{Error, ErrorKind, ExposeSecret, Result, SecretString};
/// use valetkey_mcp::http::TokenExchange;
///
/// /// Sends the token to an authorization server, as `subject_token`.
/// #[derive(Debug)]
/// struct AuthorizationServer;
///
/// #[async_trait]
/// impl TokenExchange for AuthorizationServer {
///     async fn exchange(&self, token: SecretString) -> Result<SecretString> {
///         match token.expose_secret() {
///             "a token of alice" => Ok("a token of alice for AWS".into()),
///             _ => Err(Error::new(ErrorKind::Denied, "the authorization server has refused the exchange")),
///         }
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let exchanged = AuthorizationServer.exchange("a token of alice".into()).await;
/// assert!(exchanged.is_ok());
/// # }
/// ```
#[async_trait]
pub trait TokenExchange: fmt::Debug + Send + Sync + 'static {
    /// Returns the token that the other service accepts. It is not cached: the provider that uses it caches the
    /// credentials.
    ///
    /// # Errors
    /// `Denied` when the exchange is refused, `Expired` when the token has expired, and a transient kind when the
    /// authorization server cannot be reached.
    ///
    /// # Cancel safety
    /// The future must be cancel safe.
    async fn exchange(&self, token: SecretString) -> Result<SecretString>;
}

/// The access token of a caller. It exists only if the issuer was configured to
/// [keep](super::JwtIssuerBuilder::keep_token) tokens.
///
/// A clone refers to the same token. While the session of the caller is open, each of its requests replaces the token
/// by a newer one, so that a provider can exchange it again when credentials expire.
#[derive(Clone)]
pub struct CallerToken {
    kept: Arc<RwLock<KeptToken>>,
    exchange: Option<Arc<dyn TokenExchange>>,
}

#[derive(Clone)]
struct KeptToken {
    token: SecretString,
    /// In seconds since 1970.
    expires_at: u64,
}

impl CallerToken {
    pub(super) fn new(token: &str, expires_at: u64, exchange: Option<Arc<dyn TokenExchange>>) -> Self {
        let kept = KeptToken { token: token.into(), expires_at };
        Self { kept: Arc::new(RwLock::new(kept)), exchange }
    }

    /// Returns the newest token of the caller, or the token for which it was
    /// [exchanged](super::JwtIssuerBuilder::token_exchange).
    ///
    /// # Errors
    /// Those of the exchange.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn secret(&self) -> Result<SecretString> {
        let token = self.kept.read().token.clone();
        match &self.exchange {
            Some(exchange) => exchange.exchange(token).await,
            None => Ok(token),
        }
    }

    /// Replaces the token by that of a later request, unless it expires earlier.
    pub(super) fn renew(&self, newer: &Self) {
        if Arc::ptr_eq(&self.kept, &newer.kept) {
            return;
        }
        let newer = newer.kept.read().clone();
        let mut kept = self.kept.write();
        if newer.expires_at > kept.expires_at {
            *kept = newer;
        }
    }
}

impl fmt::Debug for CallerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerToken").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}
