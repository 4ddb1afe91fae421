//! `KeyRing`: the keys of a fleet of nodes, by term, of which one seals and all open.

mod document;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::{env, fs};

use secrecy::SecretString;
use valetkey_core::{Error, ErrorKind, ExposeSecret};
use zeroize::Zeroizing;

use crate::client_handle::fill_random;

/// The number of bytes of a ring key.
pub(crate) const KEY_BYTES: usize = 32;
/// A document with this number of keys is refused: so many terms are a mistake.
const MAX_KEYS: usize = 16;

/// Numbers the keys of a [`KeyRing`], from 1.
///
/// # Examples
/// ```
/// # use valetkey_store::Term;
/// assert_eq!(Term::FIRST.to_string(), "1");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(NonZeroU32);

impl Term {
    /// The term of the first key of a ring.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// Returns the term of this number, or `None` for zero.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

type RingKey = Zeroizing<[u8; KEY_BYTES]>;

/// Holds the keys that all nodes of a fleet share, each with its [`Term`]. The key of the current term seals; every key
/// opens what was sealed in its term. A ring key alone opens nothing: see [`seal`](Self::seal).
///
/// `Debug` shows the terms and no key.
///
/// # Rotation
/// A node refuses a record of a term that its ring lacks. So add a key before it is used:
/// 1. [`add_key`](Self::add_key), and give the new ring to every node; the current term does not change.
/// 2. [`promote`](Self::promote), and give the new ring to every node. Sessions are sealed with the new key when they
///    are next saved.
/// 3. After the longest lifetime of a session, [`remove`](Self::remove) the old key.
///
/// # Document
/// The ring is read from a JSON document of this shape, such as the value of a secret; other fields are refused. A key
/// is 32 bytes in base64.
/// ```json
/// {"version": 1, "current": 2, "keys": [{"term": 1, "key": "…"}, {"term": 2, "key": "…"}]}
/// ```
///
/// # Examples
/// ```
/// use valetkey_store::{KeyRing, Term};
///
/// let ring = KeyRing::generate()?;
/// let (ring, second) = ring.add_key()?;
/// assert_eq!(ring.current(), Term::FIRST);
/// let ring = ring.promote(second)?.remove(Term::FIRST)?;
/// assert_eq!(ring.terms().collect::<Vec<_>>(), [second]);
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing {
    current: Term,
    keys: BTreeMap<Term, RingKey>,
}

impl KeyRing {
    /// Creates a ring with one random key.
    ///
    /// # Errors
    /// `Internal` when the operating system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        Ok(Self { current: Term::FIRST, keys: BTreeMap::from([(Term::FIRST, random_key()?)]) })
    }

    /// Parses the document of a ring.
    ///
    /// # Errors
    /// `Invalid`, with the rule that the document breaks, and without any of its text.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::SecretString;
    /// # use valetkey_store::KeyRing;
    /// let error = KeyRing::parse(&SecretString::from(r#"{"version": 1, "current": 1, "keys": []}"#)).unwrap_err();
    /// assert_eq!(error.message(), "`key_ring` has no key of its current term");
    /// ```
    pub fn parse(document: &SecretString) -> Result<Self, Error> {
        document::parse(document.expose_secret())
    }

    /// Reads the document of a ring from a file.
    ///
    /// # Errors
    /// `NotConfigured` when there is no such file, `Unavailable` when it cannot be read, and as [`parse`](Self::parse).
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|error| unreadable_file(&error))?;
        Self::parse(&SecretString::from(text))
    }

    /// Reads the document of a ring from the environment variable `name`.
    ///
    /// # Errors
    /// `NotConfigured` when the variable is not set, and as [`parse`](Self::parse).
    pub fn from_env(name: &str) -> Result<Self, Error> {
        let text = env::var(name).map_err(|_unset| {
            Error::not_configured(format!("the environment variable `{name}` holds no key ring"))
        })?;
        Self::parse(&SecretString::from(text))
    }

    /// Returns the document of the ring, with its keys. Store it only where secrets are stored.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_store::KeyRing;
    /// let ring = KeyRing::generate()?;
    /// assert_eq!(KeyRing::parse(&ring.expose_document())?.current(), ring.current());
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    #[must_use]
    pub fn expose_document(&self) -> SecretString {
        document::write(self)
    }

    /// Returns the term that seals.
    #[must_use]
    pub const fn current(&self) -> Term {
        self.current
    }

    /// Returns the terms of all keys, in order.
    pub fn terms(&self) -> impl Iterator<Item = Term> {
        self.keys.keys().copied()
    }

    /// Returns a ring with a further random key, and the term of that key. The current term stays the same.
    ///
    /// # Errors
    /// `Invalid` when the ring has sixteen keys; `Internal` when the operating system has no randomness.
    pub fn add_key(&self) -> Result<(Self, Term), Error> {
        let last = self.terms().last().map_or(0, Term::number);
        let next = last.checked_add(1).and_then(Term::new).ok_or_else(|| invalid("has no term left"))?;
        if self.keys.len() >= MAX_KEYS {
            return Err(invalid("has sixteen keys already").with_next_step("remove the oldest term"));
        }
        let mut ring = self.clone();
        ring.keys.insert(next, random_key()?);
        Ok((ring, next))
    }

    /// Returns a ring whose current term is `term`.
    ///
    /// # Errors
    /// `Invalid` when the ring has no key of that term.
    pub fn promote(&self, term: Term) -> Result<Self, Error> {
        Self::new(term, self.keys.clone())
    }

    /// Returns a ring without the key of `term`: what was sealed in that term no longer opens.
    ///
    /// # Errors
    /// `Invalid` when `term` is the current one.
    pub fn remove(&self, term: Term) -> Result<Self, Error> {
        let mut keys = self.keys.clone();
        keys.remove(&term);
        Self::new(self.current, keys)
    }

    /// The only way to a ring: its current term has a key.
    fn new(current: Term, keys: BTreeMap<Term, RingKey>) -> Result<Self, Error> {
        if !keys.contains_key(&current) {
            return Err(invalid("has no key of its current term"));
        }
        Ok(Self { current, keys })
    }

    pub(crate) fn key(&self, term: Term) -> Option<&[u8; KEY_BYTES]> {
        self.keys.get(&term).map(|key| &**key)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("current", &self.current)
            .field("terms", &self.keys.keys())
            .finish_non_exhaustive()
    }
}

fn random_key() -> Result<RingKey, Error> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    fill_random(&mut *key)?;
    Ok(key)
}

fn invalid(rule: &str) -> Error {
    Error::invalid("key_ring", rule)
}

fn unreadable_file(error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotConfigured,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "the file of the key ring cannot be read")
        .with_source(std::io::Error::from(error.kind()))
}
