//! The limits that requests to STS have in common (API reference of STS; quotas of IAM), so that a mistake is told by
//! field and without a call.

use std::time::Duration;

use valetkey_core::{Error, Result};

/// The longest session of a role that was assumed with temporary credentials, in seconds.
pub(crate) const MAX_CHAINED: i32 = 3600;

/// How long credentials may be asked for.
pub(crate) struct Span {
    pub(crate) shortest: i32,
    pub(crate) longest: i32,
    pub(crate) rule: &'static str,
}

/// Those of a role.
pub(crate) const OF_ROLE: Span =
    Span { shortest: 900, longest: 43_200, rule: "must be 900 to 43,200 whole seconds" };
/// Those of an IAM user.
pub(crate) const OF_USER: Span =
    Span { shortest: 900, longest: 129_600, rule: "must be 900 to 129,600 whole seconds" };

impl Span {
    /// A duration in the seconds that STS counts in.
    pub(crate) fn seconds(&self, duration: Duration) -> Result<i32> {
        i32::try_from(duration.as_secs())
            .ok()
            .filter(|seconds| {
                duration.subsec_nanos() == 0 && (self.shortest..=self.longest).contains(seconds)
            })
            .ok_or_else(|| Error::invalid("duration", self.rule))
    }
}

/// Checks the name of a role session.
pub(crate) fn session_name(text: &str) -> Result<()> {
    let holds = is_name(text, 64);
    rule(holds, "session_name", "must be 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`")
}

/// Checks a source identity, which may be longer than a name: STS raised its limit from 64 characters.
pub(crate) fn source_identity(text: &str) -> Result<()> {
    const FIELD: &str = "source_identity";
    rule(!reserved(text), FIELD, "must not begin with `aws:`")?;
    rule(is_name(text, 256), FIELD, "must be 2 to 256 of `A-Z a-z 0-9 _ + = , . @ -`")
}

/// Checks the name of a federated user.
pub(crate) fn user_name(text: &str) -> Result<()> {
    rule(is_name(text, 32), "name", "must be 2 to 32 of `A-Z a-z 0-9 _ + = , . @ -`")
}

fn is_name(text: &str, max: usize) -> bool {
    (2..=max).contains(&text.len()) && only(text, b"_+=,.@-")
}

/// Whether a text begins as only AWS's own may.
pub(crate) fn reserved(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Whether a text is made of letters and digits of ASCII and `marks`.
pub(crate) fn only(text: &str, marks: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

pub(crate) fn rule(holds: bool, field: &'static str, rule: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::invalid(field, rule)) }
}
