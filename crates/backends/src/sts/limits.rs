//! The limits that requests to STS have in common (API reference of STS; quotas of IAM), so that a mistake is told by
//! field and without a call.

use std::time::Duration;

use valetkey_core::{Error, Result};

/// The longest session of a role that was assumed with temporary credentials, in seconds.
pub(crate) const MAX_CHAINED_SECONDS: i32 = 3600;

/// How long credentials may be asked for.
pub(crate) struct DurationRange {
    pub(crate) min_seconds: i32,
    pub(crate) max_seconds: i32,
    pub(crate) message: &'static str,
}

/// Those of a role.
pub(crate) const ROLE_DURATION: DurationRange =
    DurationRange { min_seconds: 900, max_seconds: 43_200, message: "must be 900 to 43,200 whole seconds" };
/// Those of an IAM user.
pub(crate) const USER_DURATION: DurationRange =
    DurationRange { min_seconds: 900, max_seconds: 129_600, message: "must be 900 to 129,600 whole seconds" };

impl DurationRange {
    /// A duration in the seconds that STS counts in.
    pub(crate) fn checked_seconds(&self, duration: Duration) -> Result<i32> {
        i32::try_from(duration.as_secs())
            .ok()
            .filter(|seconds| {
                duration.subsec_nanos() == 0 && (self.min_seconds..=self.max_seconds).contains(seconds)
            })
            .ok_or_else(|| Error::invalid("duration", self.message))
    }
}

/// Checks the name of a role session.
pub(crate) fn session_name(text: &str) -> Result<()> {
    let holds = is_name(text, 64);
    ensure(holds, "session_name", "must be 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`")
}

/// Checks a source identity, which may be longer than a name: STS raised its limit from 64 characters.
pub(crate) fn source_identity(text: &str) -> Result<()> {
    const FIELD: &str = "source_identity";
    ensure(!has_aws_prefix(text), FIELD, "must not begin with `aws:`")?;
    ensure(is_name(text, 256), FIELD, "must be 2 to 256 of `A-Z a-z 0-9 _ + = , . @ -`")
}

/// Checks the name of a federated user.
pub(crate) fn user_name(text: &str) -> Result<()> {
    ensure(is_name(text, 32), "name", "must be 2 to 32 of `A-Z a-z 0-9 _ + = , . @ -`")
}

fn is_name(text: &str, max: usize) -> bool {
    (2..=max).contains(&text.len()) && is_charset(text, b"_+=,.@-")
}

/// Whether a text begins as only AWS's own may.
pub(crate) fn has_aws_prefix(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Whether a text is made of letters and digits of ASCII and `marks`.
pub(crate) fn is_charset(text: &str, marks: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

pub(crate) fn ensure(holds: bool, field: &'static str, rule: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::invalid(field, rule)) }
}
