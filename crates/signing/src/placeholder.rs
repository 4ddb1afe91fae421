//! `Placeholder`: the identity of one program, which only the proxy accepts.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use aws_credential_types::Credentials as SdkCredentials;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use uuid::Uuid;
use valetkey_core::SessionAccount;

use crate::connection_check::ConnectionCheck;
use crate::proxy::ProxyServer;
use crate::refusal::{Refusal, RefusalKind};
use crate::rules::{RateLimiter, Rules};
use crate::verification::ReplayWindow;

/// Limit on concurrent requests of one placeholder; further ones are throttled.
const MAX_REQUESTS_PER_PLACEHOLDER: usize = 64;
/// The variables in which clients of models look for the address of Bedrock. They do not read `AWS_ENDPOINT_URL`.
const MODEL_CLIENT_VARS: [&str; 2] = ["ANTHROPIC_BEDROCK_BASE_URL", "AWS_BEDROCK_RUNTIME_ENDPOINT"];
/// The alphabet of AWS's access key ids.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The keys of one program, which AWS does not accept. Dropping the placeholder ends its right to send requests.
///
/// The program finds them in its environment, like any others; see [`environment`](Self::environment). Each of its
/// requests is signed with the current credentials of the account, so that a change, a clear or the end of the session
/// applies to the next request.
///
/// # Examples
/// ```
/// use valetkey_core::SessionContext;
/// use valetkey_signing::{Rules, SigningProxy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = SessionContext::builder().build();
/// let proxy = SigningProxy::start().await?;
/// let account = session.account(session.default_account())?;
/// let placeholder = proxy.placeholder(account, "report", Rules::default());
/// assert!(placeholder.access_key_id().starts_with("ASIAVALETKEY"));
/// # Ok(())
/// # }
/// ```
pub struct Placeholder {
    server: Arc<ProxyServer>,
    state: Arc<PlaceholderState>,
    secret_access_key: SecretString,
    session_token: SecretString,
}

/// The proxy's state of a placeholder.
pub(crate) struct PlaceholderState {
    pub(crate) access_key_id: String,
    /// The key that requests are verified with.
    pub(crate) key: SdkCredentials,
    token_digest: [u8; 32],
    pub(crate) account: SessionAccount,
    pub(crate) holder: String,
    pub(crate) rules: Rules,
    pub(crate) requests: Semaphore,
    pub(crate) replays: Mutex<ReplayWindow>,
    rate: Mutex<RateLimiter>,
    /// Decides which connections may use it (default: all).
    check: OnceLock<Arc<dyn ConnectionCheck>>,
}

impl Placeholder {
    pub(crate) fn new(
        server: &Arc<ProxyServer>,
        account: SessionAccount,
        holder: String,
        rules: Rules,
    ) -> Self {
        let (access_key_id, secret, token) = (random_access_key_id(), random_text(), random_text());
        let state = Arc::new(PlaceholderState {
            key: SdkCredentials::new(&access_key_id, &secret, Some(token.clone()), None, "placeholder"),
            access_key_id,
            token_digest: Sha256::digest(&token).into(),
            account,
            holder,
            rules,
            requests: Semaphore::new(MAX_REQUESTS_PER_PLACEHOLDER),
            replays: Mutex::default(),
            rate: Mutex::default(),
            check: OnceLock::new(),
        });
        server.register(Arc::clone(&state));
        Self {
            server: Arc::clone(server),
            state,
            secret_access_key: secret.into(),
            session_token: token.into(),
        }
    }

    /// Lets only the connections use the placeholder that `check` permits (default: each connection on this machine). It
    /// is called once for each connection, after the token of its first request was verified. The first check holds.
    #[must_use]
    pub fn restrict_to(self, check: Arc<dyn ConnectionCheck>) -> Self {
        let _is_first = self.state.check.set(check);
        self
    }

    /// Returns the access key id, in the form of AWS's.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.state.access_key_id
    }

    /// Returns the secret access key of the placeholder. AWS does not accept it.
    #[must_use]
    pub fn expose_secret_access_key(&self) -> &str {
        self.secret_access_key.expose_secret()
    }

    /// Returns the session token of the placeholder, 64 hexadecimal digits with 244 random bits.
    #[must_use]
    pub fn expose_session_token(&self) -> &str {
        self.session_token.expose_secret()
    }

    /// Returns the address of the proxy, for `AWS_ENDPOINT_URL`.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_signing::{Rules, SigningProxy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session = SessionContext::builder().build();
    /// # let account = session.account(session.default_account())?;
    /// let proxy = SigningProxy::start().await?;
    /// let placeholder = proxy.placeholder(account, "report", Rules::default());
    /// assert!(placeholder.url().starts_with("http://127.0.0.1:"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Returns the variables that a program needs: the placeholder's keys, `AWS_ENDPOINT_URL`,
    /// `AWS_ENDPOINT_URL_<SERVICE>` for each service that shares its signing name with others, and the address of Bedrock
    /// for clients of models that sign requests themselves: `ANTHROPIC_BEDROCK_BASE_URL` (the SDKs of Anthropic) and
    /// `AWS_BEDROCK_RUNTIME_ENDPOINT` (LiteLLM).
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_signing::{Rules, SigningProxy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let session = SessionContext::builder().build();
    /// # let account = session.account(session.default_account())?;
    /// let proxy = SigningProxy::start().await?;
    /// let placeholder = proxy.placeholder(account, "report", Rules::default());
    /// let variables = placeholder.environment();
    /// let runtime = variables.iter().find(|(name, _)| name == "AWS_ENDPOINT_URL_BEDROCK_RUNTIME");
    /// assert!(runtime.is_some_and(|(_, url)| url.ends_with("/~bedrock-runtime/")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The program must not see other credentials, `AWS_PROFILE` or `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> = [
            ("AWS_ACCESS_KEY_ID", self.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.expose_secret_access_key().to_owned()),
            ("AWS_SESSION_TOKEN", self.expose_session_token().to_owned()),
            ("AWS_ENDPOINT_URL", self.url()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let routes = self.server.routes();
        for service in routes.services().filter(|service| routes.is_shared(service)) {
            let name = format!("AWS_ENDPOINT_URL_{}", service.variable_suffix());
            variables.push((name, format!("{}/~{}/", self.url(), service.name())));
        }
        let bedrock = || format!("{}/~bedrock-runtime", self.url());
        variables.extend(MODEL_CLIENT_VARS.map(|name| (name.to_owned(), bedrock())));
        variables
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        self.server.revoke(&self.state.access_key_id);
    }
}

impl PlaceholderState {
    /// Counts a permitted request, or refuses it if there were too many in the last second.
    pub(crate) fn count_request(&self, now: SystemTime) -> Result<(), Refusal> {
        let Some(limit) = self.rules.rate_limit() else { return Ok(()) };
        if self.rate.lock().acquire(limit, now) {
            return Ok(());
        }
        let message = "the rule `max_requests_per_second` is exceeded; send the request again later";
        Err(Refusal::new(RefusalKind::Throttled, message))
    }

    /// Whether the connection may use the placeholder.
    pub(crate) async fn permits(&self, client: SocketAddr, server: SocketAddr) -> bool {
        match self.check.get() {
            Some(check) => check.is_permitted(client, server).await,
            None => true,
        }
    }

    /// Compares in constant time, by digests of equal length.
    pub(crate) fn verify_token(&self, token: &str) -> bool {
        Sha256::digest(token).as_slice().ct_eq(&self.token_digest).into()
    }
}

impl fmt::Debug for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placeholder").field("holder", &self.state.holder).finish_non_exhaustive()
    }
}

/// Two version-4 UUIDs: 244 random bits from the operating system.
fn random_text() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// The id selects a placeholder and proves nothing: 40 random bits are enough.
fn random_access_key_id() -> String {
    let random = Uuid::new_v4();
    let letters = random.as_bytes()[8..].iter().rev().zip(random.as_bytes()).map(|(a, b)| a ^ b);
    let suffix: String = letters.map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
    format!("ASIAVALETKEY{suffix}")
}
