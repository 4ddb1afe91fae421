//! What the providers that call STS share: the client, responses, the parts of requests, and MFA.

pub(crate) mod mfa;
pub(crate) mod request;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use aws_sdk_sts::types::Credentials as Keys;
use aws_sdk_sts::{Client, Config};
use valetkey_core::{
    AccessKeyId, AccountId, Credentials, CredentialsBuilder, Error, ErrorKind, Expiry, Region, Result,
    SecretString, SystemClock,
};

use crate::client_config::{EndpointConfig, from_sdk_region, new_retry_partition};
use crate::validity;

/// The configuration of STS clients at one endpoint.
///
/// Each call makes a client of its own, because a client belongs to one identity. The clients share the connections of
/// the [`AwsClientConfig`](crate::AwsClientConfig), and one retry quota that no other `Sts` uses.
pub(crate) struct Sts(Config);

impl Sts {
    pub(crate) fn new(endpoint: EndpointConfig) -> Result<Self> {
        let config = endpoint.into_sdk_config().ok_or_else(|| {
            Error::invalid("region", "of STS is not known")
                .with_next_step("give the provider a region, or a client configuration that has one")
        })?;
        Ok(Self(Config::new(&config)).with_own_retry_quota())
    }

    /// Returns the same endpoint with a retry quota of its own, for a provider that another session will use.
    pub(crate) fn with_own_retry_quota(&self) -> Self {
        let partition = new_retry_partition(self.0.retry_config());
        Self(self.0.to_builder().retry_partition(partition).build())
    }

    /// Returns the region in which STS is called. It becomes the environment region of the credentials, which applies if
    /// no provider, account or session names a region.
    pub(crate) fn region(&self) -> Option<Region> {
        from_sdk_region(self.0.region()?)
    }

    /// Returns a client that signs with `source`.
    pub(crate) fn client_for(&self, source: &Credentials) -> Client {
        Client::from_conf(self.0.to_builder().credentials_provider(source.expose_to_sdk()).build())
    }

    /// Returns a client for operations without a signature.
    pub(crate) fn unsigned_client(&self) -> Client {
        Client::from_conf(self.0.clone())
    }
}

impl fmt::Debug for Sts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sts")
    }
}

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
