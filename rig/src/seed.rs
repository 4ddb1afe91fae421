//! The accounts that isolation tests act in.

use serde::Deserialize;

use crate::{Error, Result, Script, venv::scripts_dir};

/// A broker account, and tenants whose roles only the broker may assume.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Seed {
    /// The broker's account number.
    pub broker_account: String,
    /// The broker's own long-lived key: it may call STS and read the tenants' secrets.
    pub broker: AccessKey,
    /// The tenants, lowest account number first.
    pub tenants: Vec<Tenant>,
}

/// One tenant account.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Tenant {
    /// Its account number.
    pub account: String,
    /// The role that trusts the broker.
    pub role_arn: String,
    /// The external id that the role insists on.
    pub external_id: String,
    /// A bucket that only this account sees.
    pub bucket: String,
    /// The long-lived key of the tenant's `service` user.
    pub service: AccessKey,
    /// The id by which a stack job names that key.
    pub credential_id: String,
    /// The secret, in the broker's account and [`REGION`](crate::REGION), that holds that key as JSON, with `us-west-2`
    /// as its region.
    pub secret_id: String,
}

/// A long-lived key of an emulated account.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
}

pub(crate) async fn seed_accounts(url: &str) -> Result<Seed> {
    let output = Script::new(scripts_dir().join("seed.py")).arg(url).run().await?;
    serde_json::from_str(&output).map_err(|error| Error::Script {
        script: "seed.py".to_owned(),
        outcome: error.to_string(),
        output: "its output is not a seed".to_owned(),
    })
}
