//! `Sts`: the service at one place, for whoever signs.

use std::fmt;

use aws_sdk_sts::{Client, Config};
use valetkey_core::{Credentials, Error, Result};

use crate::base::Place;

/// STS, at one place. A client of the SDK is made for each call, since it belongs to one identity; the connections are
/// the base's.
#[derive(Clone)]
pub(crate) struct Sts(Config);

impl Sts {
    pub(crate) fn at(place: Place) -> Result<Self> {
        place.config().map(|config| Self(Config::new(&config))).ok_or_else(|| {
            Error::invalid("region", "of STS is not known")
                .with_next_step("give the provider a region, or a base that has one")
        })
    }

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
