//! What the providers that call STS share: the client, the limits of requests, attribution, MFA and responses.

pub(crate) mod attribution;
pub(crate) mod mfa;
pub(crate) mod request;
pub(crate) mod response;

use std::fmt;

use aws_sdk_sts::{Client, Config};
use valetkey_core::{Credentials, Error, Region, Result};

use crate::client_config::{EndpointConfig, from_sdk_region, retry_quota};

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
        let partition = retry_quota::new_retry_partition(self.0.retry_config());
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
