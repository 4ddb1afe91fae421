//! `SessionHandle`: what a caller presents to be let back into its session.

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::str::FromStr;

use crate::{Error, Result};

/// Finds a session where it was put: in a registry, together with the principal that opened it. 128 random bits,
/// written as 32 lower-case hexadecimal digits. `Debug` shows the last four.
///
/// Treat it as confidential in logs, although it grants nothing without its principal.
///
/// # Examples
/// ```
/// # use valetkey_core::SessionHandle;
/// let handle = SessionHandle::random();
/// let presented = handle.to_string();
/// assert_eq!(presented.parse::<SessionHandle>()?, handle);
/// assert_eq!(format!("{handle:?}"), format!("…{}", &presented[28..]));
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionHandle([u8; 16]);

const DIGITS: usize = 32;

impl SessionHandle {
    /// Creates a random handle with the generator of the thread: ChaCha with a seed from the operating system. A forked
    /// process or a cloned machine creates the same handles until its generator is seeded again.
    ///
    /// # Panics
    /// If the operating system has no randomness to seed the generator of the thread.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// Accepts only the form that `Display` writes, so each handle has one spelling.
///
/// # Errors
/// `Invalid`, without the text.
///
/// # Examples
/// ```
/// # use valetkey_core::{ErrorKind, SessionHandle};
/// let error = "000000000000000000000000000000AB".parse::<SessionHandle>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid, "the digits are lower-case");
/// ```
impl FromStr for SessionHandle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let number = if text.len() == DIGITS && text.bytes().all(is_digit) {
            u128::from_str_radix(text, 16).ok()
        } else {
            None
        };
        number.map(|number| Self(number.to_be_bytes())).ok_or_else(malformed_handle)
    }
}

/// The text is not repeated in the message: it may be the handle of another session with a typing error.
fn malformed_handle() -> Error {
    Error::invalid("handle", "must be 32 lower-case hexadecimal digits")
        .with_next_step("present the handle as it was given, or open a new session")
}

/// Writes the whole handle, for the caller that it belongs to.
impl fmt::Display for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., high, low] = self.0;
        write!(f, "…{high:02x}{low:02x}")
    }
}

impl Hash for SessionHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Hashes a handle to its own bits, which are random already. A caller may look any handle up and so choose where to
/// look; only the registry's own handles are ever put in.
pub(super) type BuildIdentityHasher = BuildHasherDefault<IdentityHasher>;

/// `write` mixes the bytes in order, for completeness: handles only use `write_u64`.
#[derive(Default)]
pub(super) struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
}
