//! `RoleArn`: the parsed ARN of an IAM role.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::{AccountId, Error, Result};

/// The ARN of an IAM role: `arn:<partition>:iam::<account>:role/<path and name>`.
///
/// Only the form is checked; AWS decides whether the role exists. The partition may be any that begins with `aws`, and
/// the ARN has at most 2,048 characters, as STS requires.
///
/// # Examples
/// ```
/// # use valetkey_core::RoleArn;
/// let role: RoleArn = "arn:aws:iam::123456789012:role/team/agent".parse()?;
/// assert_eq!(role.account().as_str(), "123456789012");
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct RoleArn {
    text: Box<str>,
    account: AccountId,
}

impl RoleArn {
    /// Returns the whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the account that owns the role.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Parses `text`. The error names `field`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), without the text. Users often copy the ARN of a role *session* from
    /// `aws sts get-caller-identity`: that error names the role of the session.
    pub fn parse(field: &'static str, text: &str) -> Result<Self> {
        let invalid_arn = || {
            role_from_session_arn(text).map_or_else(
                || Error::invalid(field, "must be a role ARN such as `arn:aws:iam::123456789012:role/agent`"),
                |role| {
                    Error::invalid(field, format!("is the ARN of a role session; the role is `{role}`"))
                        .with_next_step("write the ARN of the role, with its path if it has one")
                },
            )
        };
        let (account, name) = split_role_arn(text).ok_or_else(invalid_arn)?;
        let account = account.parse().map_err(|_| invalid_arn())?;
        let is_valid_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=,.@-".contains(&b));
        // STS takes ARNs of 20 to 2,048 characters (API reference, AssumeRole).
        if is_valid_name && !name.ends_with('/') && text.len() <= 2048 {
            Ok(Self { text: text.into(), account })
        } else {
            Err(invalid_arn())
        }
    }
}

/// Returns the account and the path with the name, unchecked. `None` for an ARN of anything but a role.
fn split_role_arn(text: &str) -> Option<(&str, &str)> {
    let (partition, rest) = text.strip_prefix("arn:")?.split_once(":iam::")?;
    let (account, name) = rest.split_once(":role/")?;
    let is_aws_partition =
        partition.starts_with("aws") && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    is_aws_partition.then_some((account, name))
}

/// Returns the role of `arn:aws:sts::123456789012:assumed-role/agent/session`, which has no path.
fn role_from_session_arn(text: &str) -> Option<RoleArn> {
    let (partition, rest) = text.strip_prefix("arn:")?.split_once(":sts::")?;
    let (account, name) = rest.split_once(":assumed-role/")?;
    let (role, _) = name.split_once('/')?;
    format!("arn:{partition}:iam::{account}:role/{role}").parse().ok()
}

impl FromStr for RoleArn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse("role_arn", text)
    }
}

impl From<RoleArn> for String {
    fn from(arn: RoleArn) -> Self {
        arn.text.into()
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arn_parses_any_partition_and_path() {
        let arn: RoleArn = "arn:aws-us-gov:iam::123456789012:role/team/agent".parse().unwrap();
        assert_eq!(arn.account().as_str(), "123456789012");
    }

    #[test]
    fn role_arn_of_role_session_is_refused_with_role() {
        let error = "arn:aws-cn:sts::111111111111:assumed-role/agent/session".parse::<RoleArn>().unwrap_err();
        assert!(error.message().contains("`arn:aws-cn:iam::111111111111:role/agent`"), "{error}");
        let error = "arn:aws:sts::1:assumed-role/agent/session".parse::<RoleArn>().unwrap_err();
        assert!(error.message().contains("must be a role ARN"), "{error}");
    }

    #[test]
    fn role_arn_malformed_is_refused_without_echo() {
        for text in [
            "",
            "agent",
            "arn:aws:iam::1234:role/agent",
            "arn:aws:iam::123456789012:user/agent",
            "arn:aws:iam::123456789012:role/",
            "arn:evil:iam::123456789012:role/agent",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            let error = text.parse::<RoleArn>().unwrap_err();
            assert_eq!(error.field(), Some("role_arn"));
            assert!(text.is_empty() || !error.to_string().contains(&format!("{text} ")));
        }
    }
}
