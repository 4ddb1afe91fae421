//! Which STS is asked: region, endpoint, and the base whose connections are used.

use std::fmt;

use aws_sdk_sts::{Client, Config};
use valetkey_core::{Credentials, Error, Region, Result};

use crate::SdkBase;
use crate::base::{at_endpoint, sdk_region};

/// Where to ask, as a builder was told.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) region: Option<Region>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) base: Option<SdkBase>,
}

impl Place {
    pub(crate) fn sts(self) -> Result<Sts> {
        let base = self.base.unwrap_or_default();
        if self.region.is_none() && base.config().region().is_none() {
            return Err(Error::invalid("region", "of STS is not known")
                .with_next_step("give the provider a region, or a base that has one"));
        }
        let mut config = base.config().to_builder();
        if let Some(region) = &self.region {
            config = config.region(sdk_region(region));
        }
        if let Some(url) = self.endpoint_url {
            config = at_endpoint(config, url);
        }
        Ok(Sts(Config::new(&config.build())))
    }
}

/// STS, at one place. A client of the SDK is made for each call, since it belongs to one identity; the connections are
/// the base's.
#[derive(Clone)]
pub(crate) struct Sts(Config);

impl Sts {
    /// A client that signs as `source`.
    pub(crate) fn signed_by(&self, source: &Credentials) -> Client {
        Client::from_conf(self.0.to_builder().credentials_provider(source.expose_to_sdk()).build())
    }

    /// A client for what needs no signature.
    pub(crate) fn unsigned(&self) -> Client {
        Client::from_conf(self.0.clone())
    }
}

impl fmt::Debug for Sts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sts")
    }
}
