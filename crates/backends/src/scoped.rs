//! `GetScopedCredentials`: temporary credentials, traded in for others of the same session that may do less.

mod builder;
mod operation;

pub use builder::ScopedBuilder;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_smithy_types::DateTime;
use valetkey_core::{
    Clock, CredentialProvider, Credentials, Error, ErrorKind, IntoProvider, Region, Result, SessionPolicy,
    SystemClock,
};

use crate::sts::{Sts, response};
use crate::validity;
use operation::{OPERATION, ScopedCredentialsRequest};

const NAME: &str = "scoped";

/// What is left of the source's authority.
#[derive(Debug, Clone)]
struct ScopeDownParameters {
    policy: Option<SessionPolicy>,
    duration_seconds: Option<i32>,
    description: Option<String>,
}

/// Makes any source of temporary credentials one that can be narrowed, by `GetScopedCredentials`: no role is assumed,
/// and identity, session name and tags stay what they are. Until there is a policy or a duration, it hands on what the
/// source gives and asks nobody:
///
/// ```
/// # use std::sync::Arc;
/// # use valetkey_backends::{ScopedProvider, AwsClientConfig};
/// # use valetkey_core::{CredentialProvider, Result, AccessScope, SessionContext, SessionPolicy};
/// # fn example(login: Arc<dyn CredentialProvider>, base: &AwsClientConfig) -> Result<SessionContext> {
/// let session = SessionContext::builder().provider(ScopedProvider::builder(login).base(base).build()?).build();
/// session.narrow(AccessScope::new().policy(SessionPolicy::read_only(["ecs", "logs"])?))
/// # }
/// ```
///
/// # Experimental
/// AWS announced the operation in November 2026. The SDK for Rust does not have it, and no emulator responds to it. The
/// tests compare request and response with the service model that AWS publishes, through the newest botocore, and refuse
/// a response that is not one to `GetScopedCredentials`, does not name the scoped session, reports no scope-down policy or
/// holds the source's session token. They cannot prove that AWS enforces the policy. See for yourself, with a call that
/// the policy does not allow, before you rely on it; a role narrowed by
/// [`AssumeRoleProvider`](crate::AssumeRoleProvider) is the proven way. Once the SDK has the operation, this type will use
/// it, and may change with it in a minor version.
///
/// AWS allows three scope-down policies on one session. This provider adds one, however often it is narrowed.
///
/// In a chain, a source that is not configured does not make this provider absent: it is `Invalid`.
#[derive(Debug)]
pub struct ScopedProvider {
    sts: Sts,
    source: Arc<dyn CredentialProvider>,
    region: Option<Region>,
    scope: ScopeDownParameters,
}

impl ScopedProvider {
    /// Describes what is left of the temporary credentials of `source`: all of it, but for what is said.
    pub fn builder(source: impl IntoProvider) -> ScopedBuilder {
        ScopedBuilder::new(source.into_provider())
    }

    fn new(
        sts: Sts,
        source: Arc<dyn CredentialProvider>,
        region: Option<Region>,
        scope: ScopeDownParameters,
    ) -> Self {
        Self { sts, source, region, scope }
    }

    fn wrapping(
        &self,
        source: Arc<dyn CredentialProvider>,
        scope: ScopeDownParameters,
    ) -> Arc<dyn CredentialProvider> {
        Arc::new(Self::new(self.sts.with_own_retry_quota(), source, self.region.clone(), scope))
    }

    async fn scoped_credentials(&self) -> Result<Credentials> {
        let source = validity::source_credentials(&*self.source).await?;
        if !validity::is_temporary(&source) {
            return Err(long_lived_source());
        }
        let (policy, seconds) = (self.scope.policy.as_ref(), self.requested_seconds(&source));
        if policy.is_none() && seconds.is_none() {
            return Ok(source);
        }
        self.fetch(
            &source,
            ScopedCredentialsRequest {
                policy,
                duration_seconds: seconds,
                description: self.scope.description.as_deref(),
            },
        )
        .await
    }

    /// How long to ask for: nothing is said where the source ends first, since STS refuses more than is left of it.
    fn requested_seconds(&self, source: &Credentials) -> Option<i32> {
        let left = source.expiry().remaining(SystemClock.now()).map(|left| left.as_secs());
        self.scope
            .duration_seconds
            .filter(|seconds| left.is_none_or(|left| u64::from(seconds.unsigned_abs()) < left))
    }

    async fn fetch(
        &self,
        source: &Credentials,
        request: ScopedCredentialsRequest<'_>,
    ) -> Result<Credentials> {
        let (mut keys, arn) =
            operation::get_scoped_credentials(&self.sts.client_for(source), request).await?;
        // A session's authority is in its token: the same token would be the same authority.
        if source.expose_session_token() == Some(keys.session_token()) {
            return Err(not_scoped_down());
        }
        keys.expiration = min_expiry(keys.expiration, source.expiry().instant());
        let account = source.account_id().cloned().or_else(|| response::account_from_arn(&arn));
        let region = self.region.as_ref().or(source.region()).cloned();
        let environment_region = source.environment_region().cloned().or_else(|| self.sts.region());
        response::credentials_from_response(OPERATION, Some(keys), |set| {
            set.account_id(account).region(region).environment_region(environment_region).provider(NAME)
        })
    }
}

fn min_expiry(reported: DateTime, source_expiry: Option<SystemTime>) -> DateTime {
    source_expiry.map_or(reported, |of_source| reported.min(of_source.into()))
}

#[async_trait]
impl CredentialProvider for ScopedProvider {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }

    /// # Errors
    /// What the source answered, naming it; but `Invalid`, with the field `source`, when it is not configured or has
    /// long-lived credentials. `Invalid`, with the field `policy`, for an answer that does not show that it was scoped
    /// down. `Denied` when STS refuses, `Expired` when the source's credentials have run out, `Invalid` for what STS
    /// calls malformed, too large, unknown to it or disabled in its region, `Throttled`, `TimedOut` or `Unavailable`
    /// when it cannot answer now.
    async fn provide(&self) -> Result<Credentials> {
        self.scoped_credentials().await.map_err(|error| error.with_provider(NAME))
    }

    /// Keeps nothing itself; its source may.
    fn clear_cache(&self) {
        self.source.clear_cache();
    }

    /// The same source, scoped down to what the policy of this provider (if there is one) and `policy` both allow.
    ///
    /// Policies are intersected here and sent as one, so however deep the nesting, it is one call for one token with
    /// one policy in it. AWS would also take one call on top of the other; but then each adds its policy to the token,
    /// whose size is limited, and that the earlier ones hold would rest on its word alone.
    ///
    /// # Errors
    /// `Invalid` when the two have nothing in common or cannot be compared.
    fn scope_down(&self, policy: &SessionPolicy) -> Result<Arc<dyn CredentialProvider>> {
        let own = self.scope.policy.as_ref();
        let policy = own.map_or_else(|| Ok(policy.clone()), |own| own.intersect(policy));
        let policy = Some(policy.map_err(|error| error.with_provider(NAME))?);
        Ok(self.wrapping(Arc::clone(&self.source), ScopeDownParameters { policy, ..self.scope.clone() }))
    }
}

/// STS scopes down sessions, and long-lived keys belong to none.
fn long_lived_source() -> Error {
    Error::invalid("source", format!("has long-lived credentials, which {OPERATION} does not take"))
        .with_next_step(
            "exchange them first: put a FederationProvider in between, or a role assumed with them",
        )
}

/// Permanent: whoever answered so once does not know the operation.
fn not_scoped_down() -> Error {
    Error::new(ErrorKind::Invalid, format!("the answer to {OPERATION} does not show that it was scoped down"))
        .with_field("policy")
        .with_next_step(format!(
            "check that region and endpoint URL lead to an STS that knows {OPERATION}, or narrow a role in its place"
        ))
}
