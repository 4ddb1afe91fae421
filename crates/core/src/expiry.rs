//! `Expiry`: the instant after which a set of credentials is refused.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Serialize, Serializer};

use crate::{Error, Result};

/// When a set of credentials stops working. An instant, not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expiry {
    /// At this instant, and from then on.
    At(SystemTime),
    /// Long-lived keys: until somebody deletes them.
    Never,
}

impl Expiry {
    /// Parses an RFC 3339 instant, such as `2026-11-21T12:00:00Z`. `field` is named in the error.
    pub fn parse(field: &'static str, text: &str) -> Result<Self> {
        DateTime::from_str(text.trim(), Format::DateTimeWithOffset)
            .ok()
            .and_then(|instant| SystemTime::try_from(instant).ok())
            .map(Self::At)
            .ok_or_else(|| {
                Error::invalid(field, "is not an RFC 3339 instant")
                    .with_next_step("write it as `2026-11-21T12:00:00Z`, or leave it out for long-lived keys")
            })
    }

    /// The instant, if there is one.
    #[must_use]
    pub fn instant(self) -> Option<SystemTime> {
        match self {
            Self::At(instant) => Some(instant),
            Self::Never => None,
        }
    }

    /// Whether the credentials are refused at `now`.
    #[must_use]
    pub fn has_passed(self, now: SystemTime) -> bool {
        self.instant().is_some_and(|instant| instant <= now)
    }

    /// How much longer the credentials work; `None` if they do not expire.
    #[must_use]
    pub fn remaining(self, now: SystemTime) -> Option<Duration> {
        self.instant().map(|instant| instant.duration_since(now).unwrap_or(Duration::ZERO))
    }
}

impl From<Option<SystemTime>> for Expiry {
    fn from(instant: Option<SystemTime>) -> Self {
        instant.map_or(Self::Never, Self::At)
    }
}

/// `2026-11-21T12:00:00Z`, or `never`.
impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(instant) => f.write_str(&rfc3339(*instant)),
            Self::Never => f.write_str("never"),
        }
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::At(instant) => serializer.serialize_some(&rfc3339(*instant)),
            Self::Never => serializer.serialize_none(),
        }
    }
}

/// Whole seconds and a `Z`: the one spelling that every AWS SDK reads.
pub(crate) fn rfc3339(instant: SystemTime) -> String {
    let whole = DateTime::from_secs(DateTime::from(instant).secs());
    whole.fmt(Format::DateTime).unwrap_or_else(|_| String::from("out-of-range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_written_in_whole_seconds_with_a_z() {
        let expiry = Expiry::At(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_262_400_750));
        assert_eq!(expiry.to_string(), "2026-11-21T12:00:00Z");
    }

    #[test]
    fn an_offset_is_understood_and_nonsense_is_refused_without_an_echo() {
        assert_eq!(
            Expiry::parse("e", "2026-11-21T13:00:00+01:00").unwrap().to_string(),
            "2026-11-21T12:00:00Z"
        );
        let error = Expiry::parse("expires_at", "hunter2").unwrap_err();
        assert_eq!(error.field(), Some("expires_at"));
        assert!(!error.to_string().contains("hunter2"));
    }
}
