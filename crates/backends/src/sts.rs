//! What the providers that ask STS share: where they ask, the limits of what may be asked, how answers are read.

pub(crate) mod attribution;
pub(crate) mod mfa;
pub(crate) mod request;
pub(crate) mod response;

use std::fmt;

use aws_sdk_sts::{Client, Config};
use valetkey_core::{Credentials, Error, Region, Result};

use crate::client_config::{EndpointConfig, from_sdk_region, retry_quota};

/// STS, at one place. A client of the SDK is made for each call, since it belongs to one identity; the connections are
/// the base's. All clients of one `Sts` share a retry quota; no others do.
pub(crate) struct Sts(Config);

impl Sts {
    pub(crate) fn new(place: EndpointConfig) -> Result<Self> {
        let config = place.config().ok_or_else(|| {
            Error::invalid("region", "of STS is not known")
                .with_next_step("give the provider a region, or a base that has one")
        })?;
        Ok(Self(Config::new(&config)).with_own_retry_quota())
    }

    /// The same place, with a retry quota that is not shared: for each provider that another session will use.
    pub(crate) fn with_own_retry_quota(&self) -> Self {
        let partition = retry_quota::new_retry_partition(self.0.retry_config());
        Self(self.0.to_builder().retry_partition(partition).build())
    }

    /// The region in which STS is called. Where no provider, account or session names one, the credentials are used
    /// there too.
    pub(crate) fn region(&self) -> Option<Region> {
        from_sdk_region(self.0.region()?)
    }

    /// A client that signs as `source`.
    pub(crate) fn client_for(&self, source: &Credentials) -> Client {
        Client::from_conf(self.0.to_builder().credentials_provider(source.expose_to_sdk()).build())
    }

    /// A client for what needs no signature.
    pub(crate) fn unsigned_client(&self) -> Client {
        Client::from_conf(self.0.clone())
    }
}

impl fmt::Debug for Sts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sts")
    }
}
