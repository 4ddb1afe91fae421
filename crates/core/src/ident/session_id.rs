//! `SessionId`: identifies a session without granting access to it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use uuid::Uuid;

use crate::{Error, Result};

/// Identifies a session in status and audit records. It grants no access: a session is reached only through its
/// handle.
///
/// # Examples
/// ```
/// # use valetkey_core::{SessionContext, SessionId};
/// let session = SessionContext::builder().build();
/// let logged = session.id().to_string(); // 36 characters, with hyphens
/// assert_eq!(logged.parse::<SessionId>()?, session.id());
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Creates a new, random id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Returns the id in 32 hexadecimal digits, without hyphens, for names that must be short.
    #[must_use]
    pub fn compact(self) -> String {
        self.0.simple().to_string()
    }

    /// Returns a number derived from the id, as the session's source of randomness.
    ///
    /// Takes the low half of the UUID, of which two bits are fixed; in the high half, four are.
    pub(crate) fn seed(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Parses the id with or without hyphens.
impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rule = "must be the id of a session, such as `67e55044-10b1-426f-9247-bb680e5fe0c8`";
        Uuid::try_parse(text).map(Self).map_err(|_| Error::invalid("session", rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_display_and_compact_round_trip() {
        let id = SessionId::random();
        for spelling in [id.to_string(), id.compact()] {
            assert_eq!(spelling.parse::<SessionId>().unwrap(), id);
        }
        assert_eq!(id.compact().len(), 32);
        assert_eq!("hunter2".parse::<SessionId>().unwrap_err().field(), Some("session"));
    }
}
