//! `SessionPolicy`: an IAM policy that says what a session may do at most.

mod conditions;
mod digest;
mod document;
mod glob;
mod intersection;
mod json;
mod read_only;
mod statement;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, Result};

pub use digest::PolicyDigest;
use statement::Statement;

/// The longest policy that STS takes, in characters (IAM and STS quotas: session policies).
const MAX_POLICY_CHARS: usize = 2048;

/// What a session may do at most: an IAM policy document, checked here before anybody is asked.
///
/// A session policy takes away and never gives: a session may do what both this and the identity behind it allow. So a
/// policy that allows nothing is refused, and so is one that names a principal. It is kept without what carries no
/// authority (white space, `Id`, `Sid`, patterns that others cover), and in one order: that is what [`Display`] writes,
/// what is sent, and what the limit of 2,048 characters is about. AWS also limits a packed form, which only it can
/// measure.
///
/// A policy is no secret: it is shown, logged and compared.
///
/// [`Display`]: fmt::Display
///
/// ```
/// # use valetkey_core::SessionPolicy;
/// # fn demo() -> valetkey_core::Result<()> {
/// let ceiling = SessionPolicy::read_only(["ecs", "logs"])?;
/// let wanted: SessionPolicy = r#"{
///     "Version": "2012-10-17",
///     "Statement": {"Effect": "Allow", "Action": ["ecs:DescribeServices", "s3:*"], "Resource": "*"}
/// }"#.parse()?;
/// assert_eq!(
///     ceiling.intersect(&wanted)?.to_string(),
///     r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:DescribeServices","Resource":"*"}]}"#,
/// );
/// # Ok(())
/// # }
/// # demo().unwrap();
/// ```
#[derive(Clone)]
pub struct SessionPolicy(Arc<PolicyInner>);

struct PolicyInner {
    /// Of which at least one allows something.
    statements: Vec<Statement>,
    text: Box<str>,
}

impl SessionPolicy {
    /// What both policies allow: a request that this allows, both allow. It may allow less than that, since what
    /// cannot be shown to be in both is left out: of two patterns that overlap, the narrower is kept if the other
    /// covers it, and neither if none does. What either denies is denied.
    ///
    /// # Errors
    /// `Invalid` when nothing is left; when an allowing statement says what it is *not* about (`NotAction`,
    /// `NotResource`); when two statements set the same condition differently; when the result is too long.
    pub fn intersect(&self, other: &Self) -> Result<Self> {
        Self::from_statements(intersection::intersect(&self.0.statements, &other.0.statements)?)
    }

    /// Reading, and nothing else, in the named services: what there is, how it is set up, how it is doing, its logs and
    /// metrics. Known are `autoscaling`, `cloudformation`, `cloudtrail`, `cloudwatch`, `dynamodb`, `ec2`, `ecr`, `ecs`,
    /// `eks`, `elasticloadbalancing`, `events`, `iam`, `kms`, `lambda`, `logs`, `rds`, `route53`, `s3`,
    /// `secretsmanager`, `sns`, `sqs`, `ssm` and `sts`.
    ///
    /// Left out is what hands out secrets, tokens, code or what is stored: secret and parameter values, roles, instance
    /// passwords and user data, function code, registry log-ins, objects, items, messages. What somebody wrote in plain
    /// into a log, or into the environment of a task or a function, is shown as AWS shows it.
    ///
    /// The action names are those of the [Service Authorization Reference]; the idea is that of the job function
    /// [view-only user].
    ///
    /// # Errors
    /// `Invalid` for a service that is not known, and when none is named.
    ///
    /// [Service Authorization Reference]:
    ///     https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
    /// [view-only user]:
    ///     https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_job-functions.html
    pub fn read_only<'a>(services: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        Self::from_statements(read_only::build_statements(services)?)
    }

    /// Tells policies apart in few characters: equal for equal policies, however they were written, in every process.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        PolicyDigest::from_text(&self.0.text)
    }

    fn from_statements(statements: Vec<Statement>) -> Result<Self> {
        let text = document::serialize(&statements)?.into();
        Ok(Self(Arc::new(PolicyInner { statements, text })))
    }
}

impl FromStr for SessionPolicy {
    type Err = Error;

    /// Parses a JSON policy document.
    ///
    /// # Errors
    /// `Invalid`, with the first part that breaks a rule and the rule; no text of the document is repeated.
    fn from_str(text: &str) -> Result<Self> {
        Self::from_statements(document::parse(text)?)
    }
}

/// The document, as short as it gets.
impl fmt::Display for SessionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// The document, as [`Display`](fmt::Display) writes it.
impl From<SessionPolicy> for String {
    fn from(policy: SessionPolicy) -> Self {
        policy.0.text.to_string()
    }
}

impl fmt::Debug for SessionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionPolicy({self})")
    }
}

impl PartialEq for SessionPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for SessionPolicy {}

impl std::hash::Hash for SessionPolicy {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}
