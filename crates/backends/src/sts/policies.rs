//! The session policies of a request: one inline, others by ARN.

use aws_sdk_sts::types::PolicyDescriptorType;
use valetkey_core::{Error, Result, SessionPolicy};

use super::limits::ensure;

const MAX_POLICY_ARNS: usize = 10;
const MAX_POLICY_CHARACTERS: usize = 2048;

/// What a session is narrowed to.
#[derive(Clone, Default)]
pub(crate) struct SessionPolicies {
    pub(crate) inline: Option<String>,
    pub(crate) arns: Vec<String>,
}

impl SessionPolicies {
    pub(crate) fn check(&self) -> Result<()> {
        self.inline.as_deref().map_or(Ok(()), check_inline_policy)?;
        ensure(self.arns.len() <= MAX_POLICY_ARNS, "policy_arns", "must be at most 10")?;
        self.arns.iter().try_for_each(|arn| check_policy_arn(arn))?;
        let inline = self.inline.iter().map(|policy| policy.chars().count());
        let total: usize = inline.chain(self.arns.iter().map(String::len)).sum();
        ensure(total <= MAX_POLICY_CHARACTERS, "policy", "and `policy_arns` together must be at most 2,048 characters")
    }

    /// What these and `policy` have in common.
    pub(crate) fn narrowed(&self, policy: &SessionPolicy) -> Result<Self> {
        if !self.arns.is_empty() {
            return Err(Error::invalid(
                "policy_arns",
                "cannot be narrowed, for what they allow is not known here",
            )
            .with_next_step("write what they allow as an inline policy"));
        }
        let own = self.inline.as_deref().map(str::parse::<SessionPolicy>).transpose()?;
        let policy = own.map_or_else(|| Ok(policy.clone()), |own| own.intersect(policy))?;
        Ok(Self { inline: Some(policy.into()), arns: Vec::new() })
    }

    /// The ARNs as the SDK's, or nothing: an empty list would be sent.
    pub(crate) fn to_sdk_arns(&self) -> Option<Vec<PolicyDescriptorType>> {
        let arns = self.arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build());
        Some(arns.collect()).filter(|arns: &Vec<_>| !arns.is_empty())
    }
}

fn check_inline_policy(policy: &str) -> Result<()> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    ensure(policy.chars().all(allowed), "policy", "must hold only tabs, line breaks and U+0020 to U+00FF")?;
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(policy).is_ok();
    ensure(is_object, "policy", "must be a JSON object")
}

fn check_policy_arn(arn: &str) -> Result<()> {
    let plain =
        arn.starts_with("arn:") && arn.contains(":policy/") && arn.bytes().all(|b| b.is_ascii_graphic());
    ensure(
        plain && arn.len() >= 20,
        "policy_arns",
        "must be managed policy ARNs such as `arn:aws:iam::aws:policy/ReadOnlyAccess`",
    )
}
