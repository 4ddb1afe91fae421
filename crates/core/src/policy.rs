//! `SessionPolicy`: an IAM policy that limits what a session may do.

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

/// Limits what a session may do: an IAM policy document, checked locally before AWS is called.
///
/// A session policy only removes permissions: a session may do what both the policy and the underlying identity allow.
/// A policy that allows nothing is therefore refused, as is a policy that names a principal. The policy is stored
/// without the parts that carry no authority (white space, `Id`, `Sid`, patterns that others cover), in canonical
/// order. [`Display`] writes this form, AWS receives it, and the limit of 2,048 characters applies to it. AWS also
/// limits a packed form, which only AWS can measure.
///
/// A policy is not secret: it may be shown, logged and compared.
///
/// [`Display`]: fmt::Display
///
/// # Examples
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

/// Built only from statements that serialize within the limits, so that `text` can be sent to AWS as it is.
struct PolicyInner {
    /// At least one of them allows something.
    statements: Vec<Statement>,
    text: Box<str>,
}

impl SessionPolicy {
    /// Returns a policy that allows only requests which both policies allow.
    ///
    /// The result may allow less than that, since everything that cannot be shown to be in both is left out: of two
    /// patterns that overlap, the narrower is kept if the other covers it, and neither if none does. Requests that
    /// either policy denies are denied.
    ///
    /// # Errors
    /// `Invalid` when no permission is left; when an allowing statement uses `NotAction` or `NotResource`; when two
    /// statements set the same condition differently; when the result is too long.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionPolicy;
    /// let buckets: SessionPolicy = r#"{
    ///     "Version": "2012-10-17",
    ///     "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::reports/*"}
    /// }"#.parse()?;
    /// let reading: SessionPolicy = r#"{
    ///     "Version": "2012-10-17",
    ///     "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}
    /// }"#.parse()?;
    /// let both = buckets.intersect(&reading)?;
    /// assert!(both.to_string().contains(r#""Action":"s3:Get*","Resource":"arn:aws:s3:::reports/*""#));
    ///
    /// let queues = SessionPolicy::read_only(["sqs"])?;
    /// assert!(buckets.intersect(&queues).is_err()); // no permission is left
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn intersect(&self, other: &Self) -> Result<Self> {
        Self::from_statements(intersection::intersect(&self.0.statements, &other.0.statements)?)
    }

    /// Returns a policy that allows only reading in the named services: their resources, configuration, state, logs
    /// and metrics. Supported are `autoscaling`, `cloudformation`, `cloudtrail`, `cloudwatch`, `dynamodb`, `ec2`,
    /// `ecr`, `ecs`, `eks`, `elasticloadbalancing`, `events`, `iam`, `kms`, `lambda`, `logs`, `rds`, `route53`, `s3`,
    /// `secretsmanager`, `sns`, `sqs`, `ssm` and `sts`.
    ///
    /// Actions that return secrets, tokens, code or stored data are excluded: secret and parameter values, roles,
    /// instance passwords and user data, function code, registry log-ins, objects, items, messages. Secrets that were
    /// written in plain text into a log, or into the environment of a task or a function, are shown as AWS shows them.
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
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionPolicy;
    /// let policy = SessionPolicy::read_only(["logs", "sts"])?;
    /// assert!(policy.to_string().contains("logs:FilterLogEvents"));
    /// assert!(!policy.to_string().contains("Assume"));
    /// assert!(SessionPolicy::read_only(["mainframe"]).is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn read_only<'a>(services: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        Self::from_statements(read_only::build_statements(services)?)
    }

    /// Returns a short digest of the policy. Equal policies have equal digests, in every spelling and every process.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        PolicyDigest::from_text(&self.0.text)
    }

    /// The only constructor: every policy is checked and has its text.
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
    /// `Invalid`, with the first part that breaks a rule and the rule; the text of the document is not repeated.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{ErrorKind, SessionPolicy};
    /// let error = r#"{"Version": "2008-10-17", "Statement": []}"#.parse::<SessionPolicy>().unwrap_err();
    /// assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("Version")));
    /// ```
    fn from_str(text: &str) -> Result<Self> {
        Self::from_statements(document::parse(text)?)
    }
}

/// The document in its shortest form.
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

/// Policies are equal if their canonical texts are. Unequal policies may still allow the same requests.
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
