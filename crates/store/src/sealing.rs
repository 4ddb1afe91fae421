//! `SealedRecord`: the bytes of a record that only its own handle, owner and generation open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use valetkey_core::Principal;
use zeroize::Zeroizing;

use crate::client_handle::fill_random;
use crate::{ClientHandle, KeyRing, RecordError, Term};

/// The largest contents of a record, in bytes.
pub const MAX_CONTENTS: usize = 256 * 1024;

/// The first byte of every frame: which key derivation, cipher and layout it has.
const FORMAT: u8 = 1;
const TERM_BYTES: usize = 4;
const HEADER: usize = 1 + TERM_BYTES + NONCE_LEN;
const TAG: usize = 16;
pub(crate) const MAX_FRAME: usize = HEADER + MAX_CONTENTS + TAG;

/// Orders the saves of one record.
///
/// The upper half of the number counts the saves, and the lower half is random: a store that has lost a save accepts another
/// one after the same generation, and a node that holds the lost one must not take it for its own.
///
/// # Examples
/// ```
/// # use valetkey_store::RecordGeneration;
/// let (one, other) = (RecordGeneration::FIRST.successor()?, RecordGeneration::FIRST.successor()?);
/// assert!(one > RecordGeneration::FIRST && one != other);
/// assert!(one.successor()? > other);
/// # Ok::<_, valetkey_store::RecordError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordGeneration(u64);

impl RecordGeneration {
    /// The generation of a new record.
    pub const FIRST: Self = Self(1);

    /// Returns the generation of this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns a generation for the next save: another one at each call, as its lower half is random.
    ///
    /// # Errors
    /// [`RecordError::Internal`] if the operating system has no randomness, and after 2^32 saves.
    pub fn successor(self) -> Result<Self, RecordError> {
        let mut random = [0; 4];
        fill_random(&mut random).map_err(|_error| RecordError::Internal)?;
        let saves = u32::try_from(self.0 >> u32::BITS).ok().and_then(|saves| saves.checked_add(1));
        let saves = saves.ok_or(RecordError::Internal)?;
        Ok(Self(u64::from(saves) << u32::BITS | u64::from(u32::from_ne_bytes(random))))
    }

    /// Returns the generation directly after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for RecordGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whose session a record holds. A record opens only for the owner that it was sealed for.
///
/// # Examples
/// ```
/// # use valetkey_store::RecordOwner;
/// let owner = RecordOwner::new("acme", "alice@example.com".parse()?);
/// assert_eq!(owner.principal().as_str(), "alice@example.com");
/// # Ok::<_, valetkey_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordOwner {
    tenant: String,
    principal: Principal,
}

impl RecordOwner {
    /// Creates an owner from what the host has verified. Without tenants, `tenant` is the empty text; a host that
    /// distinguishes callers of one principal by further claims includes a digest of those claims.
    pub fn new(tenant: impl Into<String>, principal: Principal) -> Self {
        Self { tenant: tenant.into(), principal }
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Returns the principal.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }
}

/// The sealed contents of a session, as a store keeps them, with their generation.
///
/// The frame is `format ‖ term ‖ nonce ‖ ciphertext`, of 1, 4, 12 and 16 or more bytes; the term is a big-endian number.
/// A store cannot read it, and every change of it is detected when it is opened.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRecord {
    generation: RecordGeneration,
    frame: Vec<u8>,
}

impl SealedRecord {
    /// Wraps what a store returned. The size and the header are checked here; all else is checked by
    /// [`KeyRing::open`].
    ///
    /// # Errors
    /// [`RecordError::Oversized`], [`RecordError::Truncated`] or [`RecordError::UnknownFormat`].
    ///
    /// # Examples
    /// ```
    /// # use valetkey_store::{RecordError, RecordGeneration, SealedRecord};
    /// let error = SealedRecord::from_frame(RecordGeneration::FIRST, vec![9; 64]).unwrap_err();
    /// assert_eq!(error, RecordError::UnknownFormat);
    /// ```
    pub fn from_frame(generation: RecordGeneration, frame: Vec<u8>) -> Result<Self, RecordError> {
        if frame.len() > MAX_FRAME {
            return Err(RecordError::Oversized);
        }
        match frame.first() {
            _ if frame.len() < HEADER + TAG => Err(RecordError::Truncated),
            Some(&FORMAT) => Ok(Self { generation, frame }),
            _ => Err(RecordError::UnknownFormat),
        }
    }

    /// Returns the generation that the contents were sealed for.
    #[must_use]
    pub const fn generation(&self) -> RecordGeneration {
        self.generation
    }

    /// Returns the bytes to store.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Returns the term of the ring key that the record was sealed with, or `None` for term 0, which no ring has.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        let bytes = self.frame.get(1..=TERM_BYTES)?;
        Term::new(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// Shows the generation and the size.
impl fmt::Debug for SealedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedRecord")
            .field("generation", &self.generation)
            .field("term", &self.term())
            .field("bytes", &self.frame.len())
            .finish_non_exhaustive()
    }
}

/// Sealing and opening.
///
/// | part | value |
/// |---|---|
/// | key | HKDF-SHA256: key = ring key of the term, salt = record id, info = handle secret ‖ principal ‖ tenant |
/// | cipher | AES-256-GCM-SIV with a random nonce |
/// | associated data | format ‖ term ‖ tenant ‖ principal ‖ record id ‖ generation |
///
/// Every field of the info and of the associated data is preceded by its length in four bytes; numbers are big-endian.
impl KeyRing {
    /// Seals `contents` with the key of the current term, for this handle, owner and generation.
    ///
    /// # Errors
    /// [`RecordError::Oversized`] for contents above [`MAX_CONTENTS`]; [`RecordError::Internal`] when the operating
    /// system has no randomness.
    ///
    /// # Examples
    /// ```
    /// # use valetkey_store::{ClientHandle, KeyRing, RecordError, RecordGeneration, RecordOwner};
    /// let ring = KeyRing::generate()?;
    /// let handle = ClientHandle::random()?;
    /// let alice = RecordOwner::new("acme", "alice".parse()?);
    /// let sealed = ring.seal(&handle, &alice, RecordGeneration::FIRST, b"contents")?;
    /// assert_eq!(&**ring.open(&handle, &alice, &sealed)?, b"contents");
    ///
    /// let mallory = RecordOwner::new("acme", "mallory".parse()?);
    /// assert_eq!(ring.open(&handle, &mallory, &sealed).unwrap_err(), RecordError::Rejected);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn seal(
        &self,
        handle: &ClientHandle,
        owner: &RecordOwner,
        generation: RecordGeneration,
        contents: &[u8],
    ) -> Result<SealedRecord, RecordError> {
        if contents.len() > MAX_CONTENTS {
            return Err(RecordError::Oversized);
        }
        let term = self.current();
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce).map_err(|_error| RecordError::Internal)?;
        // The exact size: a buffer that grows leaves a copy of the contents behind. Cleared if the cipher fails.
        let mut frame = Zeroizing::new(Vec::with_capacity(HEADER + contents.len() + TAG));
        frame.push(FORMAT);
        frame.extend_from_slice(&term.number().to_be_bytes());
        frame.extend_from_slice(&nonce);
        frame.extend_from_slice(contents);
        let key = self.record_key(term, handle, owner)?;
        let data = associated_data(term, handle, owner, generation);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(data),
                &mut frame[HEADER..],
            )
            .map_err(|_unspecified| RecordError::Internal)?;
        frame.extend_from_slice(tag.as_ref());
        Ok(SealedRecord { generation, frame: std::mem::take(&mut *frame) })
    }

    /// Opens a record for this handle and owner, and returns its contents.
    ///
    /// # Errors
    /// - [`RecordError::UnknownTerm`] when the ring has no key of the record's term.
    /// - [`RecordError::Rejected`] when the record was changed, moved from another id, or sealed for another handle,
    ///   owner or generation: which one of these cannot be distinguished.
    pub fn open(
        &self,
        handle: &ClientHandle,
        owner: &RecordOwner,
        record: &SealedRecord,
    ) -> Result<Zeroizing<Vec<u8>>, RecordError> {
        let term = record.term().ok_or(RecordError::UnknownTerm)?;
        let key = self.record_key(term, handle, owner)?;
        let (header, ciphertext) = record.frame.split_at_checked(HEADER).ok_or(RecordError::Truncated)?;
        let nonce = Nonce::try_assume_unique_for_key(&header[1 + TERM_BYTES..]);
        let nonce = nonce.map_err(|_unspecified| RecordError::Truncated)?;
        let data = associated_data(term, handle, owner, record.generation);
        let mut contents = Zeroizing::new(ciphertext.to_vec());
        let length = key
            .open_in_place(nonce, Aad::from(data), &mut contents)
            .map_err(|_unspecified| RecordError::Rejected)?
            .len();
        contents.truncate(length);
        Ok(contents)
    }

    fn record_key(
        &self,
        term: Term,
        handle: &ClientHandle,
        owner: &RecordOwner,
    ) -> Result<LessSafeKey, RecordError> {
        let ring_key = self.key(term).ok_or(RecordError::UnknownTerm)?;
        let mut info = Zeroizing::new(Vec::with_capacity(512));
        push_field(&mut info, handle.expose_secret_part());
        push_field(&mut info, owner.principal.as_str().as_bytes());
        push_field(&mut info, owner.tenant.as_bytes());
        let prk = Salt::new(HKDF_SHA256, handle.id().as_bytes()).extract(ring_key);
        let parts = [info.as_slice()];
        let key = prk.expand(&parts, &AES_256_GCM_SIV).map_err(|_unspecified| RecordError::Internal)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

fn associated_data(
    term: Term,
    handle: &ClientHandle,
    owner: &RecordOwner,
    generation: RecordGeneration,
) -> Vec<u8> {
    let mut data = Vec::with_capacity(128);
    push_field(&mut data, &[FORMAT]);
    push_field(&mut data, &term.number().to_be_bytes());
    push_field(&mut data, owner.tenant.as_bytes());
    push_field(&mut data, owner.principal.as_str().as_bytes());
    push_field(&mut data, handle.id().as_bytes());
    push_field(&mut data, &generation.0.to_be_bytes());
    data
}

/// Appends `field` after its length, so that no two lists of fields have the same bytes.
fn push_field(bytes: &mut Vec<u8>, field: &[u8]) {
    // Longer fields do not exist: they are names and numbers.
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(field);
}
