//! `StsCallerIdentityProvider`: looks up the AWS identity of credentials with STS.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput;
use valetkey_core::{CallerIdentity, CallerIdentityProvider, Credentials, Error, ErrorKind, Result};

use crate::client_config::EndpointConfig;
use crate::sts::Sts;
use crate::{AwsClientConfig, error};

const NAME: &str = "caller-identity";
const OPERATION: &str = "GetCallerIdentity";

/// Looks up the AWS identity of credentials with `GetCallerIdentity`, which needs no permission.
///
/// The request is signed with the credentials in question and sent to their region, or else to the region of the client
/// configuration. Each call has a retry quota of its own.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use valetkey_backends::{AwsClientConfig, StsCallerIdentityProvider};
/// # use valetkey_core::{CallerIdentityCache, Result, SessionContext};
/// # async fn example(session: &SessionContext, client_config: &AwsClientConfig) -> Result<()> {
/// let lookup = Arc::new(StsCallerIdentityProvider::new(client_config));
/// let identity = CallerIdentityCache::new(session.account(&"prod".parse()?)?, lookup);
/// println!("{}", identity.get().await?.arn());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StsCallerIdentityProvider(AwsClientConfig);

impl StsCallerIdentityProvider {
    /// Creates a provider that uses the connections and the endpoint of `client_config`, and its region for credentials
    /// without one.
    #[must_use]
    pub fn new(client_config: &AwsClientConfig) -> Self {
        Self(client_config.clone())
    }

    async fn fetch(&self, credentials: &Credentials) -> Result<CallerIdentity> {
        let region = credentials.region().or(credentials.environment_region()).cloned();
        let endpoint =
            EndpointConfig { region, client_config: Some(self.0.clone()), ..EndpointConfig::default() };
        let result = Sts::new(endpoint)?.client_for(credentials).get_caller_identity().send().await;
        let output = result.map_err(|sdk_error| error::from_sdk_error(OPERATION, &sdk_error))?;
        parse_response(output).ok_or_else(incomplete_response)
    }
}

#[async_trait]
impl CallerIdentityProvider for StsCallerIdentityProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// - `Expired`: STS reports the credentials as expired.
    /// - `Denied`: STS does not know the credentials.
    /// - `Invalid`: neither the credentials nor the client configuration have a region.
    /// - `Throttled`, `TimedOut`, `Unavailable`: STS cannot respond now.
    async fn caller_identity(&self, credentials: &Credentials) -> Result<CallerIdentity> {
        self.fetch(credentials).await.map_err(|error| error.with_provider(NAME))
    }
}

fn parse_response(output: GetCallerIdentityOutput) -> Option<CallerIdentity> {
    Some(CallerIdentity::new(output.account?.parse().ok()?, output.arn?, output.user_id?))
}

fn incomplete_response() -> Error {
    Error::new(ErrorKind::Unavailable, format!("the response to {OPERATION} does not identify the caller"))
        .with_next_step("check the endpoint URL, then try again")
}

impl fmt::Debug for StsCallerIdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StsCallerIdentityProvider")
    }
}
