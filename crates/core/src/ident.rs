//! Validated names: each is checked when it is parsed and can be trusted afterwards.
//!
//! The rules exclude what could do harm where a name is used (a host name, a header, a terminal), and leave to AWS
//! which names exist. All types but [`AccessKeyId`] can be printed and serialized.

mod role_arn;
mod session_id;

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use smol_str::SmolStr;

use crate::{Error, Result};

pub use role_arn::RoleArn;
pub use session_id::SessionId;

/// Defines a string newtype with one rule. Errors name the field and the rule, never the text. Texts of up to 23
/// bytes, which is nearly all of them, are stored without an allocation; clones of longer ones share it.
macro_rules! ident {
    ($(#[$doc:meta])* $name:ident, $field:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Parses `text`. The error names `field`: the place where the caller's user wrote the text.
            ///
            /// # Errors
            /// [`Invalid`](crate::ErrorKind::Invalid), with `field` and the rule, and without the text, which may be a
            /// secret that was pasted into the wrong field.
            pub fn parse(field: &'static str, text: &str) -> Result<Self> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(Error::invalid(field, $rule)) }
            }
        }

        /// Parses the text. The error names the field by which tools and settings call this value.
        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::parse($field, text)
            }
        }
    };
}

/// Implements `Display` and `Serialize` for names that are not sensitive.
macro_rules! printable {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )+};
}

printable!(AccountId, AccountName, CredentialId, Principal, Region);

ident! {
    /// An access key id. It is not a secret but identifies one, so only its last four characters are ever shown.
    ///
    /// AWS decides which ids exist, and emulators use short ones (`test`, `minioadmin`): any text that fits into the
    /// `Authorization` header is accepted.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::AccessKeyId;
    /// let id: AccessKeyId = "AKIAIOSFODNN7EXAMPLE".parse()?;
    /// assert_eq!(format!("{id:?}"), "…MPLE");
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    AccessKeyId, "access_key_id", "must be 1 to 128 visible ASCII characters",
    |text| (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

ident! {
    /// A twelve-digit AWS account id.
    ///
    /// It is text, not a number: leading zeros count.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::AccountId;
    /// let id: AccountId = "012345678901".parse()?;
    /// assert_eq!(id.to_string(), "012345678901");
    /// assert!("12345678901".parse::<AccountId>().is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    AccountId, "account_id", "must be 12 digits",
    |text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

ident! {
    /// The name of an account within a session. Models choose account names, never ARNs.
    ///
    /// The host decides which AWS account and role a name stands for.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::AccountName;
    /// assert_eq!("default".parse::<AccountName>()?, AccountName::default_account());
    /// assert!("arn:aws:iam::111111111111:role/agent".parse::<AccountName>().is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    AccountName, "account", "must be 1 to 64 of `a-z A-Z 0-9 _ -`",
    |text| is_word(text, 64, b"_-")
}

ident! {
    /// The id under which another system stores credentials. Stack jobs carry an id, never a key.
    ///
    /// A [`CredentialResolver`](crate::CredentialResolver) decides what the id means and whether a session may use it.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::CredentialId;
    /// let id: CredentialId = "team/job-7".parse()?;
    /// assert_eq!(id.as_str(), "team/job-7");
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    CredentialId, "provider_credential_id", "must be 1 to 2,048 printable characters",
    |text| is_printable(text, 2048)
}

ident! {
    /// The principal that a session acts for, as verified by the host: a name, an email address, `DOMAIN\user`, the
    /// subject of a token.
    ///
    /// Characters that hide or reorder text are refused, so that a log shows the whole name in order.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::Principal;
    /// let principal: Principal = "alice@example.com".parse()?;
    /// assert_eq!(principal.to_string(), "alice@example.com");
    /// assert!("alice\u{202e}".parse::<Principal>().is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    Principal, "principal", "must be 1 to 256 printable characters, without blanks at its ends",
    |text| is_printable(text, 256)
}

ident! {
    /// An AWS region, such as `eu-central-1`. It becomes part of host names, so it must be a single host label; AWS
    /// and emulators decide which regions exist.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::Region;
    /// let region: Region = "eu-central-1".parse()?;
    /// assert_eq!(region.as_str(), "eu-central-1");
    /// assert!("evil.example/".parse::<Region>().is_err());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    Region, "region", "must be 1 to 63 of `a-z 0-9 -`, such as `us-east-1`", is_host_label
}

impl AccountName {
    /// Returns the name of a session's only account: `default`.
    #[must_use]
    pub fn default_account() -> Self {
        Self("default".into())
    }
}

impl AccountId {
    /// Parses a field of a JSON document: a string, or a number whose leading zeros were lost.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), without the value.
    pub fn from_json(field: &'static str, value: &serde_json::Value) -> Result<Self> {
        match (value.as_str(), value.as_u64()) {
            (Some(text), _) => Self::parse(field, text.trim()),
            (None, Some(number)) => Self::parse(field, &format!("{number:012}")),
            (None, None) => Err(Error::invalid(field, "must be 12 digits")),
        }
    }
}

impl Region {
    /// Returns `us-east-1`, the region that AWS tools use when no region is specified.
    #[must_use]
    pub fn us_east_1() -> Self {
        Self("us-east-1".into())
    }
}

impl AccessKeyId {
    /// Returns an id that belongs to no key.
    pub(crate) fn placeholder() -> Self {
        Self(SmolStr::new_static("PLACEHOLDERKEYID"))
    }

    /// Returns the last four characters: enough to recognize a key, too few to use it. A shorter id is returned whole.
    #[must_use]
    pub fn last_four(&self) -> &str {
        &self.0[self.0.len().saturating_sub(4)..]
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{}", self.last_four())
    }
}

/// Returns whether `text` consists of 1 to `max_len` letters, digits and the given punctuation.
fn is_word(text: &str, max_len: usize, punctuation: &[u8]) -> bool {
    (1..=max_len).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || punctuation.contains(&b))
}

/// Returns whether `text` is a host label, so that a region never selects a host outside its domain.
fn is_host_label(text: &str) -> bool {
    let is_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_label)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Returns whether `text` has no blanks at its ends and no characters that control a terminal or hide text.
fn is_printable(text: &str, max_chars: usize) -> bool {
    let is_hidden_or_control = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    (1..=max_chars).contains(&text.chars().count())
        && text.trim().len() == text.len()
        && !text.chars().any(is_hidden_or_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_parses_every_partition() {
        for region in [
            "us-east-1",
            "us-gov-west-1",
            "cn-north-1",
            "us-iso-east-1",
            "ap-southeast-5",
            "eusc-de-east-1",
            "local",
            "elasticmq",
            "aws-global",
        ] {
            assert!(region.parse::<Region>().is_ok(), "{region}");
        }
    }

    #[test]
    fn access_key_id_parses_emulator_ids() {
        for id in ["AKIA_TEST", "test", "testing", "minioadmin", "111111111111", "a", "key-with.marks"] {
            assert!(id.parse::<AccessKeyId>().is_ok(), "{id}");
        }
        assert_eq!("abc".parse::<AccessKeyId>().unwrap().last_four(), "abc");
        for id in ["", " ", "two words", "line\n", "nul\0", &"x".repeat(129)] {
            assert!(id.parse::<AccessKeyId>().is_err(), "{id:?}");
        }
    }

    #[test]
    fn principal_parses_directory_and_token_names() {
        for name in [r"CORP\alice", "alice@example.com", "CN=Alice Example,O=Example", "auth0|5f7c", "Élodie"]
        {
            assert!(name.parse::<Principal>().is_ok(), "{name}");
        }
        for name in ["", " ", " alice", "alice ", "a\tb", "a\u{202e}b", &"x".repeat(257)] {
            assert!(name.parse::<Principal>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn credential_id_parses_platform_ids() {
        for id in
            ["aws-cred-1", "team/key|2", "arn:aws:secretsmanager:eu-west-1:111111111111:secret:a-b", "id 7"]
        {
            assert!(id.parse::<CredentialId>().is_ok(), "{id}");
        }
        assert!("a\u{1b}[31m".parse::<CredentialId>().is_err());
    }

    #[test]
    fn identifier_malformed_is_refused_without_echo() {
        for text in [
            "",
            "-west",
            "evil.example",
            "us/east",
            "US-EAST-1",
            "us east 1",
            "us-east-1\n",
            "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
        ] {
            let error = text.parse::<Region>().unwrap_err();
            assert_eq!(error.field(), Some("region"));
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
        assert!("1234".parse::<AccountId>().is_err());
        assert!("two words".parse::<AccountName>().is_err());
        assert!("AKIA-ÄÖÜ-0000000000".parse::<AccessKeyId>().is_err());
    }

    #[test]
    fn access_key_id_debug_shows_last_four() {
        let id: AccessKeyId = "AKIAIOSFODNN7EXAMPLE".parse().unwrap();
        assert_eq!(format!("{id:?}"), "…MPLE");
    }
}
