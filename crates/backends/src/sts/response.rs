//! Responses of STS as credentials, and how much of its packed size limit a session used.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use aws_sdk_sts::types::Credentials as Keys;
use valetkey_core::{
    AccessKeyId, AccountId, Credentials, CredentialsBuilder, Error, ErrorKind, Expiry, Result, SecretString,
    SystemClock,
};

use crate::validity;

/// Returns the credentials that `operation` issued. `complete` adds everything that is not in the keys.
pub(crate) fn credentials_from_response(
    operation: &'static str,
    keys: Option<Keys>,
    complete: impl FnOnce(CredentialsBuilder) -> CredentialsBuilder,
) -> Result<Credentials> {
    let builder = keys.and_then(credentials_builder).ok_or_else(|| incomplete_response(operation))?;
    let credentials = complete(builder).build().map_err(|_| incomplete_response(operation))?;
    validity::ensure_issued_valid(credentials, &SystemClock)
}

fn credentials_builder(keys: Keys) -> Option<CredentialsBuilder> {
    let expires_at = SystemTime::try_from(keys.expiration).ok()?;
    let id = AccessKeyId::parse("access_key_id", &keys.access_key_id).ok()?;
    Some(
        Credentials::builder(id, SecretString::from(keys.secret_access_key))
            .session_token(SecretString::from(keys.session_token))
            .expiry(Expiry::At(expires_at)),
    )
}

/// Returns the account in an ARN such as `arn:aws:sts::111111111111:assumed-role/agent/session`.
pub(crate) fn account_from_arn(arn: &str) -> Option<AccountId> {
    arn.split(':').nth(4)?.parse().ok()
}

/// A success without the promised content. It is transient, because the next response may be complete.
fn incomplete_response(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the response to {operation} has no usable credentials"))
        .with_next_step("check the endpoint URL, then try again")
}

/// How much of the packed size limit the last session used: percent + 1, and 0 until STS has reported a value.
#[derive(Debug, Default)]
pub(crate) struct Utilization(AtomicU32);

impl Utilization {
    pub(crate) fn record(&self, percent: Option<i32>) {
        if let Some(percent) = percent.and_then(|percent| u32::try_from(percent).ok()) {
            self.0.store(percent.saturating_add(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn percent(&self) -> Option<u32> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}
