//! `ClientHandle`: what a client presents to be let back into a shared session, and `RecordId`, its public part.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, rand};
use data_encoding::HEXLOWER;
use secrecy::SecretString;
use valetkey_core::{Error, ErrorKind, SessionHandle};
use zeroize::Zeroizing;

const VERSION: &str = "vk1";
/// The number of bytes of each of the two parts.
const PART: usize = 16;

/// Names the record of a session in a store: 128 random bits, written as 32 lower-case hexadecimal digits.
///
/// It grants nothing: a record opens only with the whole [`ClientHandle`]. It may be logged.
///
/// # Examples
/// ```
/// # use valetkey_store::ClientHandle;
/// let id = ClientHandle::random()?.id();
/// assert_eq!(id.to_string().len(), 32);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; PART]);

impl RecordId {
    /// Returns the 16 bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PART] {
        &self.0
    }
}

impl From<[u8; PART]> for RecordId {
    fn from(bytes: [u8; PART]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Accepts only the form that `Display` writes.
///
/// # Errors
/// `Invalid`, without the text.
impl FromStr for RecordId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut id = [0; PART];
        decode_part(text, &mut id).map(|()| Self(id))
    }
}

/// Finds and opens the record of one session: `vk1.<id>.<secret>`, each part 32 lower-case hexadecimal digits.
///
/// The id finds the record in the store. The secret is a part of the key that the record is sealed with: the store
/// never receives it, and a node has it only while it serves the session. There is no `Display` and no `PartialEq`, and
/// `Debug` shows four digits of the id.
///
/// # Examples
/// ```
/// use valetkey_core::ExposeSecret;
/// use valetkey_store::ClientHandle;
///
/// let handle = ClientHandle::random()?;
/// let text = handle.expose();
/// assert_eq!(text.expose_secret().len(), 69);
/// let presented: ClientHandle = text.expose_secret().parse()?;
/// assert_eq!(presented.id(), handle.id());
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientHandle {
    id: RecordId,
    secret: Zeroizing<[u8; PART]>,
}

impl ClientHandle {
    /// Creates a handle with randomness of the operating system.
    ///
    /// # Errors
    /// `Internal` when the operating system has no randomness.
    pub fn random() -> Result<Self, Error> {
        let (mut id, mut secret) = ([0; PART], Zeroizing::new([0; PART]));
        fill_random(&mut id)?;
        fill_random(&mut *secret)?;
        Ok(Self { id: RecordId(id), secret })
    }

    /// Derives the handle of the record that leads from a narrowed session to the session it was narrowed from.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SessionHandle;
    /// # use valetkey_store::ClientHandle;
    /// let narrowed = SessionHandle::random();
    /// let derived = ClientHandle::for_narrowed(&narrowed);
    /// assert!(derived.is_same(&ClientHandle::for_narrowed(&narrowed)));
    /// assert!(!derived.is_same(&ClientHandle::for_narrowed(&SessionHandle::random())));
    /// ```
    #[must_use]
    pub fn for_narrowed(narrowed: &SessionHandle) -> Self {
        let text = Zeroizing::new(format!("valetkey narrowed session {narrowed}"));
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        let (mut id, mut secret) = ([0; PART], Zeroizing::new([0; PART]));
        let parts = id.iter_mut().chain(secret.iter_mut());
        parts.zip(digest.as_ref()).for_each(|(part, byte)| *part = *byte);
        Self { id: RecordId(id), secret }
    }

    /// Returns the public part.
    #[must_use]
    pub const fn id(&self) -> RecordId {
        self.id
    }

    /// Returns the whole handle, for the client that it belongs to. Never log it, and never give it to the store.
    #[must_use]
    pub fn expose(&self) -> SecretString {
        let mut digits = Zeroizing::new([0; 2 * PART]);
        let secret = HEXLOWER.encode_mut_str(&*self.secret, &mut *digits);
        SecretString::from(format!("{VERSION}.{}.{secret}", self.id))
    }

    /// Returns whether both are the same handle, in constant time.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_store::ClientHandle;
    /// let (handle, other) = (ClientHandle::random()?, ClientHandle::random()?);
    /// assert!(handle.is_same(&handle.clone()) && !handle.is_same(&other));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_secret = verify_slices_are_equal(&*self.secret, &*other.secret).is_ok();
        self.id == other.id && is_same_secret
    }

    pub(crate) fn expose_secret_part(&self) -> &[u8; PART] {
        &self.secret
    }
}

/// Accepts only the form that [`ClientHandle::expose`] returns, so that each handle has one spelling.
///
/// # Errors
/// `Invalid`, without the text.
///
/// # Examples
/// ```
/// # use valetkey_core::ErrorKind;
/// # use valetkey_store::ClientHandle;
/// let error = "vk2.00000000000000000000000000000000".parse::<ClientHandle>().unwrap_err();
/// assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("handle")));
/// ```
impl FromStr for ClientHandle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('.')?.split_once('.'));
        let (id, secret_text) = parts.ok_or_else(malformed)?;
        let mut secret = Zeroizing::new([0; PART]);
        decode_part(secret_text, &mut secret)?;
        Ok(Self { id: id.parse()?, secret })
    }
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., high, low] = self.id.0;
        write!(f, "{VERSION}.…{high:02x}{low:02x}.…")
    }
}

/// Fills `bytes` with randomness of the operating system.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    rand::fill(bytes)
        .map_err(|_unspecified| Error::new(ErrorKind::Internal, "the operating system has no randomness"))
}

fn decode_part(text: &str, part: &mut [u8; PART]) -> Result<(), Error> {
    if text.len() != 2 * PART {
        return Err(malformed());
    }
    HEXLOWER.decode_mut(text.as_bytes(), part).map(|_length| ()).map_err(|_position| malformed())
}

/// The text is not repeated in the message: it may be the handle of another session with a typing error.
fn malformed() -> Error {
    Error::invalid("handle", "must be `vk1.`, 32 lower-case hexadecimal digits, `.` and 32 more")
        .with_next_step("present the handle as it was given, or open a new session")
}
