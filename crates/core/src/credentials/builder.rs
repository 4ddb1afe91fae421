//! Building a set: every part is checked, and a fault names the part.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{Credentials, CredentialsData, RegionOrigin};
use crate::{AccessKeyId, AccountId, Error, Expiry, Region, Result};

/// Collects the parts of [`Credentials`]; made by [`Credentials::builder`].
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
    /// Begins a set with the two parts that every set has.
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
    /// The token that makes the set temporary.
    pub fn session_token(mut self, token: impl Into<Option<SecretString>>) -> Self {
        self.session_token = token.into();
        self
    }

    /// When the set stops working; never, unless said.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// The account the keys belong to.
    pub fn account_id(mut self, account_id: impl Into<Option<AccountId>>) -> Self {
        self.account_id = account_id.into();
        self
    }

    /// The region to use the keys in.
    pub fn region(mut self, region: impl Into<Option<Region>>) -> Self {
        self.region = region.into();
        self
    }

    /// The region that the provider's environment names, such as `AWS_REGION` or a shared client configuration. It
    /// counts only where the credentials, the account and the session name none.
    pub fn environment_region(mut self, region: impl Into<Option<Region>>) -> Self {
        self.environment_region = region.into();
        self
    }

    /// After how long the source is worth asking again, whatever the expiry: for sources whose sets change before they
    /// expire, or never do. Sets without expiry are otherwise kept as long as the session's policy says.
    pub fn max_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.max_age = age.into();
        self
    }

    /// The provider that made the set, for status and audit.
    pub fn provider(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.provider = name.into();
        self
    }

    /// The set.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming `secret_access_key` or `session_token`, when one of them is
    /// blank, longer than 16 KiB, or holds a control character, and for a token that holds anything but visible ASCII,
    /// which no HTTP header can carry. Every other value is left to AWS.
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
