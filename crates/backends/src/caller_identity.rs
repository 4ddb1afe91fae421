//! `StsCallerIdentityProvider`: STS, asked whose a set of credentials is.

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

/// Asks STS (`GetCallerIdentity`, which needs no permission), signed with the set in question, in the region that came
/// with it, or else the base's. Each call has a retry quota of its own.
///
/// ```
/// # use std::sync::Arc;
/// # use valetkey_backends::{AwsClientConfig, StsCallerIdentityProvider};
/// # use valetkey_core::{Result, SessionContext, CallerIdentityCache};
/// # async fn example(session: &SessionContext, base: &AwsClientConfig) -> Result<()> {
/// let lookup = Arc::new(StsCallerIdentityProvider::new(base));
/// let whoami = CallerIdentityCache::new(session.account(&"prod".parse()?)?, lookup);
/// println!("{}", whoami.get().await?.arn());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StsCallerIdentityProvider(AwsClientConfig);

impl StsCallerIdentityProvider {
    /// Asks by way of `base`: its connections, endpoint and, failing another, region.
    #[must_use]
    pub fn new(base: &AwsClientConfig) -> Self {
        Self(base.clone())
    }

    async fn fetch(&self, credentials: &Credentials) -> Result<CallerIdentity> {
        let region = credentials.region().or(credentials.environment_region()).cloned();
        let place = EndpointConfig { region, base: Some(self.0.clone()), ..EndpointConfig::default() };
        let answer = Sts::new(place)?.client_for(credentials).get_caller_identity().send().await;
        let answer = answer.map_err(|error| error::from_sdk_error(OPERATION, &error))?;
        parse_response(answer).ok_or_else(incomplete_response)
    }
}

#[async_trait]
impl CallerIdentityProvider for StsCallerIdentityProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// `Expired` when STS takes the set for expired, `Denied` when it does not know it, `Invalid` without a region;
    /// `Throttled`, `TimedOut` or `Unavailable` when it cannot answer now.
    async fn caller_identity(&self, credentials: &Credentials) -> Result<CallerIdentity> {
        self.fetch(credentials).await.map_err(|error| error.with_provider(NAME))
    }
}

fn parse_response(answer: GetCallerIdentityOutput) -> Option<CallerIdentity> {
    Some(CallerIdentity::new(answer.account?.parse().ok()?, answer.arn?, answer.user_id?))
}

fn incomplete_response() -> Error {
    Error::new(ErrorKind::Unavailable, format!("the answer of {OPERATION} does not say who calls"))
        .with_next_step("check the endpoint URL, then try again")
}

impl fmt::Debug for StsCallerIdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StsCallerIdentityProvider")
    }
}
