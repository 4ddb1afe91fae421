//! Builds `Credentials`: every part is checked, and an error names the part.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{Credentials, CredentialsData, RegionOrigin};
use crate::{AccessKeyId, AccountId, Error, Expiry, Region, Result};

/// Collects the parts of [`Credentials`]. Created by [`Credentials::builder`].
///
/// # Examples
/// ```
/// # use valetkey_core::{AccessKeyId, Credentials, SecretString};
/// let id = AccessKeyId::parse("access_key_id", "test")?;
/// let credentials = Credentials::builder(id, SecretString::from("example"))
///     .session_token(SecretString::from("example-token"))
///     .provider("vault")
///     .build()?;
/// assert!(credentials.has_session_token());
/// assert_eq!(credentials.provider(), "vault");
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[must_use]
pub struct CredentialsBuilder {
    access_key_id: AccessKeyId,
    secret_access_key: SecretString,
    session_token: Option<SecretString>,
    expiry: Expiry,
    account_id: Option<AccountId>,
    region: Option<Region>,
    environment_region: Option<Region>,
    provider: Cow<'static, str>,
    max_age: Option<Duration>,
}

impl Credentials {
    /// Returns a builder with the two parts that all credentials have.
    ///
    /// Without further parts, the credentials are long-lived: they have no session token, no expiry, no account and no
    /// region, and their provider is named `static`.
    pub fn builder(access_key_id: AccessKeyId, secret_access_key: SecretString) -> CredentialsBuilder {
        CredentialsBuilder {
            access_key_id,
            secret_access_key,
            session_token: None,
            expiry: Expiry::Never,
            account_id: None,
            region: None,
            environment_region: None,
            provider: Cow::Borrowed("static"),
            max_age: None,
        }
    }
}

impl CredentialsBuilder {
    /// Sets the session token, which makes the credentials temporary.
    ///
    /// The expiry is separate: a token without an [`expiry`](Self::expiry) counts as valid until AWS refuses it.
    pub fn session_token(mut self, token: impl Into<Option<SecretString>>) -> Self {
        self.session_token = token.into();
        self
    }

    /// Sets when the credentials stop working (default: never).
    ///
    /// Use the instant that the issuer reported. An instant in the past is accepted here, and refused by sessions.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets the AWS account that the keys belong to.
    pub fn account_id(mut self, account_id: impl Into<Option<AccountId>>) -> Self {
        self.account_id = account_id.into();
        self
    }

    /// Sets the region to use the keys in.
    pub fn region(mut self, region: impl Into<Option<Region>>) -> Self {
        self.region = region.into();
        self
    }

    /// Sets the region that the provider's environment specifies, such as `AWS_REGION` or a shared client
    /// configuration. It applies only if neither the credentials nor the account nor the session specify a region.
    pub fn environment_region(mut self, region: impl Into<Option<Region>>) -> Self {
        self.environment_region = region.into();
        self
    }

    /// Sets the age after which the source should be read again, regardless of the expiry: for sources whose
    /// credentials change before they expire, or never expire. By default, credentials without expiry are kept as long
    /// as the session's policy specifies.
    pub fn max_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.max_age = age.into();
        self
    }

    /// Sets the name of the provider that issued the credentials, for status and audit records.
    pub fn provider(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.provider = name.into();
        self
    }

    /// Builds the credentials.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming `secret_access_key` or `session_token`, when one of them is
    /// blank, longer than 16 KiB, or holds a control character, and for a token that holds anything but visible ASCII,
    /// which no HTTP header can carry. All other values are left to AWS to check.
    pub fn build(self) -> Result<Credentials> {
        check_secret("secret_access_key", &self.secret_access_key, |c| !c.is_control())?;
        if let Some(token) = &self.session_token {
            check_secret("session_token", token, |c| c.is_ascii_graphic())?;
        }
        let mut keys = aws_credential_types::Credentials::builder()
            .access_key_id(self.access_key_id.as_str())
            .secret_access_key(self.secret_access_key.expose_secret())
            .provider_name("valetkey");
        keys.set_session_token(self.session_token.as_ref().map(|token| token.expose_secret().to_owned()));
        keys.set_expiry(self.expiry.instant());
        keys.set_account_id(self.account_id.as_ref().map(|id| id.as_str().into()));
        Ok(Credentials::new(CredentialsData {
            keys: keys.build(),
            access_key_id: self.access_key_id,
            account_id: self.account_id,
            region: self
                .region
                .map(RegionOrigin::Credentials)
                .or_else(|| self.environment_region.map(RegionOrigin::Environment)),
            provider: self.provider,
            max_age: self.max_age,
        }))
    }
}

/// Checks the form of a secret. The error names the field and the rule; it does not repeat the secret or its length.
fn check_secret(field: &'static str, secret: &SecretString, is_allowed: impl Fn(char) -> bool) -> Result<()> {
    let text = secret.expose_secret();
    if !text.trim().is_empty() && text.len() <= 16 * 1024 && text.chars().all(is_allowed) {
        return Ok(());
    }
    Err(Error::invalid(field, "must be 1 to 16,384 characters without line breaks")
        .with_next_step("copy it again, without quotes, blanks or line breaks"))
}

impl fmt::Debug for CredentialsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsBuilder")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}
