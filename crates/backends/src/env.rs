//! `EnvProvider`: credentials in the `AWS_*` variables, through a lookup function.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use valetkey_core::{
    AccessKeyId, AccountId, Clock, CredentialProvider, Credentials, Error, Expiry, Region, Result,
    SecretString, SystemClock,
};

use crate::validity;

const NAME: &str = "environment";
const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";
const ACCOUNT_ID: &str = "AWS_ACCOUNT_ID";
/// The first variable with a value applies.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

type VariableLookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_CREDENTIAL_EXPIRATION` (RFC 3339),
/// `AWS_ACCOUNT_ID`, and `AWS_REGION` (or else `AWS_DEFAULT_REGION`) at each fetch.
///
/// Blank values count as missing, and whitespace around a value is ignored. Without access key, secret key and session
/// token, the provider is not configured. If some of them are missing, the error names the variable.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use std::ffi::OsString;
///
/// use valetkey_backends::EnvProvider;
/// use valetkey_core::SessionContext;
///
/// // The variables of one tenant, not those of this process.
/// let variables: HashMap<String, OsString> = HashMap::new();
/// let provider = EnvProvider::new(move |name| variables.get(name).cloned());
/// let session = SessionContext::builder().provider(provider).build();
/// ```
#[derive(Clone)]
pub struct EnvProvider {
    lookup: Arc<VariableLookup>,
    clock: Arc<dyn Clock>,
}

impl EnvProvider {
    /// Creates a provider that looks up each variable with `lookup`.
    pub fn new(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self { lookup: Arc::new(lookup), clock: Arc::new(SystemClock) }
    }

    /// Creates a provider of the environment of this process, which is the host's own identity: give it to a session only
    /// if the session may act as the host.
    #[must_use]
    pub fn from_process() -> Self {
        Self::new(|variable| std::env::var_os(variable))
    }

    /// Sets the source of wall time for expiry (default: the machine's clock).
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn read_credentials(&self) -> Result<Credentials> {
        let (id, secret, token) = (
            self.read_variable(ACCESS_KEY_ID)?,
            self.read_variable(SECRET_ACCESS_KEY)?,
            self.read_variable(SESSION_TOKEN)?,
        );
        let (id, secret) = match (id, secret, &token) {
            (Some(id), Some(secret), _) => (id, SecretString::from(secret)),
            (None, None, None) => return Err(not_configured()),
            (Some(_), None, _) => return Err(missing_variable(SECRET_ACCESS_KEY, ACCESS_KEY_ID)),
            (None, Some(_), _) => return Err(missing_variable(ACCESS_KEY_ID, SECRET_ACCESS_KEY)),
            (None, None, Some(_)) => return Err(missing_variable(ACCESS_KEY_ID, SESSION_TOKEN)),
        };
        let expiry = self.read_variable(EXPIRATION)?.map(|at| Expiry::parse(EXPIRATION, &at)).transpose()?;
        let account =
            self.read_variable(ACCOUNT_ID)?.map(|id| AccountId::parse(ACCOUNT_ID, &id)).transpose()?;
        Credentials::builder(AccessKeyId::parse(ACCESS_KEY_ID, &id)?, secret)
            .session_token(token.map(SecretString::from))
            .expiry(expiry.unwrap_or(Expiry::Never))
            .account_id(account)
            .environment_region(self.read_region()?)
            .provider(NAME)
            .build()
            .map_err(invalid_part)
    }

    fn read_region(&self) -> Result<Option<Region>> {
        for variable in REGION_VARIABLES {
            if let Some(region) = self.read_variable(variable)? {
                return Region::parse(variable, &region).map(Some);
            }
        }
        Ok(None)
    }

    fn read_variable(&self, variable: &'static str) -> Result<Option<String>> {
        let Some(value) = (self.lookup)(variable) else { return Ok(None) };
        let value = value.into_string().map_err(|_| not_utf8(variable))?;
        Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
    }
}

#[async_trait]
impl CredentialProvider for EnvProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// - `NotConfigured`: neither a key nor a token is set.
    /// - `Invalid`, with the variable as its field: a variable is missing, malformed or not UTF-8.
    /// - `Expired`: `AWS_CREDENTIAL_EXPIRATION` has passed.
    async fn provide(&self) -> Result<Credentials> {
        self.read_credentials()
            .and_then(|credentials| {
                validity::ensure_unexpired(
                    credentials,
                    &*self.clock,
                    "export new credentials, or unset the old ones",
                )
            })
            .map_err(|error| error.with_provider(NAME))
    }
}

impl fmt::Debug for EnvProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvProvider").finish_non_exhaustive()
    }
}

fn not_configured() -> Error {
    Error::not_configured("neither `AWS_ACCESS_KEY_ID` nor `AWS_SECRET_ACCESS_KEY` is set")
        .with_next_step("export both, or use another provider")
}

/// One of the two keys without the other is a mistake, not an absence.
fn missing_variable(variable: &'static str, related_variable: &'static str) -> Error {
    Error::invalid(variable, format!("is missing or blank, though `{related_variable}` is set"))
        .with_next_step(format!("export {variable}, or unset {related_variable}"))
}

fn not_utf8(variable: &'static str) -> Error {
    Error::invalid(variable, "is not valid UTF-8")
        .with_next_step(format!("export {variable} again, or unset it"))
}

/// Converts an error of a part of the credentials to the name of its variable.
fn invalid_part(error: Error) -> Error {
    let variable = match error.field() {
        Some("secret_access_key") => SECRET_ACCESS_KEY,
        Some("session_token") => SESSION_TOKEN,
        _ => return error,
    };
    let rule = error.message().split_once("` ").map_or("is malformed", |(_, rule)| rule).to_owned();
    let renamed = Error::invalid(variable, rule);
    match error.next_step() {
        Some(step) => renamed.with_next_step(step.to_owned()),
        None => renamed.with_next_step(format!("export {variable} again")),
    }
}
