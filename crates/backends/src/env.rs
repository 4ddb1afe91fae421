//! `EnvProvider`: reads the variables anew at every fetch, through a lookup that is handed in.

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
/// The first that is set counts.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

type VariableLookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_CREDENTIAL_EXPIRATION` (RFC 3339),
/// `AWS_ACCOUNT_ID`, and `AWS_REGION` (else `AWS_DEFAULT_REGION`), anew at every fetch.
///
/// Blank counts as missing, and blanks around a value are dropped. With neither half of the key pair and no session
/// token there is nothing to ask; with some of them missing it is a fault that names the variable.
#[derive(Clone)]
pub struct EnvProvider {
    lookup: Arc<VariableLookup>,
    clock: Arc<dyn Clock>,
}

impl EnvProvider {
    /// Asks `lookup` for each variable.
    pub fn new(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self { lookup: Arc::new(lookup), clock: Arc::new(SystemClock) }
    }

    /// Asks this process, whose environment is its host's own identity: a session gets it only from a host that
    /// hands it in.
    #[must_use]
    pub fn from_process() -> Self {
        Self::new(|variable| std::env::var_os(variable))
    }

    /// Tells expiry by `clock` rather than by the machine.
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
    /// `NotConfigured` when neither key nor token is set; `Invalid`, with the variable as its field, for a missing
    /// half, a malformed value or one that is not UTF-8; `Expired` when `AWS_CREDENTIAL_EXPIRATION` has passed.
    async fn provide(&self) -> Result<Credentials> {
        self.read_credentials()
            .and_then(|read| {
                validity::ensure_unexpired(
                    read,
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

/// Half a pair is a mistake, not an absence: somebody meant to set it.
fn missing_variable(variable: &'static str, related_variable: &'static str) -> Error {
    Error::invalid(variable, format!("is missing or blank, though `{related_variable}` is set"))
        .with_next_step(format!("export {variable}, or unset {related_variable}"))
}

fn not_utf8(variable: &'static str) -> Error {
    Error::invalid(variable, "is not valid UTF-8")
        .with_next_step(format!("export {variable} again, or unset it"))
}

/// A fault of a secret part, told under the name of its variable.
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
