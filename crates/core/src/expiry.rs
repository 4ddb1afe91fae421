//! `Expiry`: the instant after which AWS refuses credentials.

mod spelling;

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Serialize, Serializer};

use crate::{Error, Result};

/// The beginning of the year 2, in seconds since 1970.
const YEAR_2: i64 = -62_104_060_800;
/// The first instant that RFC 3339 cannot represent, in seconds since 1970.
const YEAR_10000: i64 = 253_402_300_800;

/// Specifies when credentials stop working. An instant, not a duration.
///
/// # Examples
/// ```
/// # use valetkey_core::Expiry;
/// let expiry = Expiry::parse("expires_at", "2026-11-21T12:00:00Z")?;
/// assert_eq!(expiry.to_string(), "2026-11-21T12:00:00Z");
/// assert_eq!(Expiry::Never.to_string(), "never");
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expiry {
    /// At this instant, and from then on.
    At(SystemTime),
    /// Never: long-lived keys work until they are deleted.
    Never,
}

impl Expiry {
    /// Parses an RFC 3339 instant, such as `2026-11-21T12:00:00Z`. The error names `field`.
    ///
    /// Also accepts the spellings of programs that print credentials: without seconds or offset (UTC), with an offset
    /// written as `+0000` or ` UTC`, or as seconds or milliseconds since 1970. The zero time (year 1 in Go, 1970
    /// elsewhere) means no expiry.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), without the text.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::Expiry;
    /// let expiry = Expiry::parse("expires_at", "2035-01-01 09:45 +0100")?;
    /// assert_eq!(expiry.to_string(), "2035-01-01T08:45:00Z");
    /// assert_eq!(Expiry::parse("expires_at", "0001-01-01T00:00:00Z")?, Expiry::Never);
    /// assert!(Expiry::parse("expires_at", "tomorrow").is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn parse(field: &'static str, text: &str) -> Result<Self> {
        let parsed = match text.trim().parse::<i64>() {
            Ok(number) => Some(date_time_from_unix(number)),
            Err(_) => DateTime::from_str(&spelling::normalize_rfc3339(text), Format::DateTimeWithOffset).ok(),
        };
        parsed.and_then(Self::from_date_time).ok_or_else(|| {
            Error::invalid(field, "is not an RFC 3339 instant")
                .with_next_step("write it as `2026-11-21T12:00:00Z`, or leave it out for long-lived keys")
        })
    }

    /// Parses a field of a JSON document: a string as [`parse`](Self::parse) does, or a number of seconds or
    /// milliseconds since 1970.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), without the value.
    pub fn from_json(field: &'static str, value: &serde_json::Value) -> Result<Self> {
        match (value.as_str(), value.as_f64()) {
            (Some(text), _) => Self::parse(field, text),
            (None, Some(number)) => Self::parse(field, &format!("{number:.0}")),
            (None, None) => Err(Error::invalid(field, "must be an RFC 3339 instant or seconds since 1970")),
        }
    }

    /// Returns `None` for an instant that RFC 3339 cannot represent. The zero times of common languages mean no expiry.
    fn from_date_time(instant: DateTime) -> Option<Self> {
        match instant.secs() {
            ..YEAR_2 | 0 => Some(Self::Never),
            YEAR_2..YEAR_10000 => SystemTime::try_from(instant).ok().map(Self::At),
            _ => None,
        }
    }

    /// Returns the instant, or `None` for credentials that do not expire.
    #[must_use]
    pub fn instant(self) -> Option<SystemTime> {
        match self {
            Self::At(instant) => Some(instant),
            Self::Never => None,
        }
    }

    /// Returns whether the credentials are refused at `now`.
    ///
    /// The instant itself counts as passed.
    #[must_use]
    pub fn has_passed(self, now: SystemTime) -> bool {
        self.instant().is_some_and(|instant| instant <= now)
    }

    /// Returns how much longer the credentials work; `None` if they do not expire.
    ///
    /// Zero, not `None`, once the instant has passed.
    #[must_use]
    pub fn remaining(self, now: SystemTime) -> Option<Duration> {
        self.instant().map(|instant| instant.duration_since(now).unwrap_or(Duration::ZERO))
    }
}

/// Reads a number as seconds, or as milliseconds if it is too large for seconds, as for all dates after 1973.
fn date_time_from_unix(number: i64) -> DateTime {
    if number < 100_000_000_000 { DateTime::from_secs(number) } else { DateTime::from_secs(number / 1_000) }
}

/// `None` means [`Never`](Expiry::Never), as in the AWS SDK.
impl From<Option<SystemTime>> for Expiry {
    fn from(instant: Option<SystemTime>) -> Self {
        instant.map_or(Self::Never, Self::At)
    }
}

/// `2026-11-21T12:00:00Z`, or `never`.
impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(instant) => f.write_str(&format_rfc3339(*instant)),
            Self::Never => f.write_str("never"),
        }
    }
}

/// RFC 3339 in whole seconds, or `null` for [`Never`](Expiry::Never).
impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::At(instant) => serializer.serialize_some(&format_rfc3339(*instant)),
            Self::Never => serializer.serialize_none(),
        }
    }
}

/// Formats an instant in whole seconds with a `Z`, the spelling that every AWS SDK reads.
pub(crate) fn format_rfc3339(instant: SystemTime) -> String {
    let whole_seconds = DateTime::from_secs(DateTime::from(instant).secs());
    whole_seconds.fmt(Format::DateTime).unwrap_or_else(|_| String::from("out-of-range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_display_is_rfc3339_in_whole_seconds() {
        let expiry = Expiry::At(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_262_400_750));
        assert_eq!(expiry.to_string(), "2026-11-21T12:00:00Z");
    }

    #[test]
    fn expiry_parses_spellings_of_credential_programs() {
        for text in [
            "2035-01-01T08:45:57Z",
            "2035-01-01T08:45:57.000Z",
            "2035-01-01T08:45:57+00:00",
            "2035-01-01T08:45:57+0000",
            "2035-01-01T09:45:57+01",
            "2035-01-01T08:45:57",
            " 2035-01-01T08:45:57 UTC ",
            "2035-01-01 08:45:57 UTC",
            "2035-01-01 08:45:57 +0000 UTC",
            "2035-01-01t08:45:57z",
            "2051253957",
            "2051253957000",
        ] {
            assert_eq!(Expiry::parse("e", text).unwrap().to_string(), "2035-01-01T08:45:57Z", "{text}");
        }
        assert_eq!(Expiry::parse("e", "2035-01-01T08:45Z").unwrap().to_string(), "2035-01-01T08:45:00Z");
        assert_eq!(Expiry::parse("e", "2035-01-01T08:45").unwrap().to_string(), "2035-01-01T08:45:00Z");
        for text in ["0001-01-01T00:00:00Z", "-62135596800", "0", "1970-01-01T00:00:00Z"] {
            assert_eq!(Expiry::parse("e", text).unwrap(), Expiry::Never, "{text}");
        }
    }

    #[test]
    fn expiry_from_json_number_is_seconds_or_milliseconds() {
        for value in [
            serde_json::json!(2_051_253_957_u64),
            serde_json::json!(2_051_253_957_000_u64),
            serde_json::json!(2_051_253_957.25),
            serde_json::json!("2035-01-01T08:45:57Z"),
        ] {
            let expiry = Expiry::from_json("e", &value).unwrap();
            assert_eq!(expiry.to_string(), "2035-01-01T08:45:57Z", "{value}");
        }
        for value in [serde_json::json!(true), serde_json::json!({}), serde_json::json!(1e300)] {
            assert_eq!(Expiry::from_json("e", &value).unwrap_err().field(), Some("e"), "{value}");
        }
    }

    #[test]
    fn expiry_malformed_is_refused() {
        for text in [
            "",
            "T",
            "2035",
            "2035-01-01",
            "tomorrow",
            "2035-01-01T",
            "2035-01-01T08:45:57+",
            "\u{e9}2035-01-01T08:45:57",
        ] {
            assert!(Expiry::parse("e", text).is_err() || text == "2035", "{text}");
        }
    }

    #[test]
    fn expiry_parses_offset_and_errors_without_echo() {
        assert_eq!(
            Expiry::parse("e", "2026-11-21T13:00:00+01:00").unwrap().to_string(),
            "2026-11-21T12:00:00Z"
        );
        let error = Expiry::parse("expires_at", "hunter2").unwrap_err();
        assert_eq!(error.field(), Some("expires_at"));
        assert!(!error.to_string().contains("hunter2"));
    }
}
