//! `PolicyDigest`: a short identifier of a policy.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Identifies a [`SessionPolicy`](crate::SessionPolicy): the SHA-256 of the document in its shortest form.
///
/// For logs: a record of a narrowed session has the digest, and the policy itself can be kept elsewhere under it.
///
/// # Examples
/// ```
/// # use valetkey_core::SessionPolicy;
/// let digest = SessionPolicy::read_only(["s3"])?.digest();
/// assert_eq!(digest.to_string().len(), 64); // hexadecimal digits
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyDigest([u8; 32]);

impl PolicyDigest {
    pub(super) fn from_text(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PolicyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_digest_debug_is_its_hexadecimal_digits() {
        let digest = PolicyDigest::from_text("");
        assert!(digest.to_string().starts_with("e3b0c44298fc1c14"), "{digest}");
        assert_eq!(format!("{digest:?}"), digest.to_string());
    }
}
