//! Redaction by exact value: a session's live secrets are masked wherever they are about to leave, however programs
//! write them.
//!
//! A text is read once, for what it means rather than how it is escaped, and looked through for all secrets at once.
//! No lock is held meanwhile: what is looked for is shared, and replaced when it changes.

mod index;
mod meant;
mod pattern;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use valetkey_core::Credentials;

use index::{Index, Patterns};
use pattern::Pattern;

/// What is written in place of a secret.
const MASK: &str = "[redacted]";
/// How many sets stay known, of all accounts together. A set that is used moves to the front, so those that live are
/// known, and those that were superseded last.
const REMEMBERED_SETS: usize = 32;
/// Shorter texts are no secrets, and would mask by accident.
const SHORTEST: usize = 8;

/// Knows the recent secrets of one session and masks them in text and JSON.
#[derive(Default)]
pub struct Redactor(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Each under its digest, newest last.
    sets: Vec<([u8; 32], Patterns)>,
    /// What opens the endpoint, for as long as it does.
    grants: HashMap<Uuid, Patterns>,
    index: Arc<Index>,
}

impl Redactor {
    /// Learns the secrets of a set, or that a known one is in use.
    pub fn learn(&self, credentials: &Credentials) {
        let (secret, token) = (credentials.expose_secret_access_key(), credentials.expose_session_token());
        let digest =
            Sha256::new().chain_update(secret).chain_update([0]).chain_update(token.unwrap_or_default());
        let digest: [u8; 32] = digest.finalize().into();
        let mut known = self.known();
        if let Some(at) = known.sets.iter().position(|(known, _)| *known == digest) {
            known.sets[at..].rotate_left(1);
            return;
        }
        known.sets.push((digest, patterns([Some(secret), token])));
        let excess = known.sets.len().saturating_sub(REMEMBERED_SETS);
        known.sets.drain(..excess);
        known.reindex();
    }

    /// Learns what a grant is read with, until the grant is [forgotten](Self::forget_grant).
    pub(crate) fn learn_grant(&self, id: Uuid, token: &str) {
        let mut known = self.known();
        known.grants.insert(id, patterns([Some(id.simple().to_string().as_str()), Some(token)]));
        known.reindex();
    }

    /// Nothing can be read with the grant any more.
    pub(crate) fn forget_grant(&self, id: Uuid) {
        let mut known = self.known();
        if known.grants.remove(&id).is_some() {
            known.reindex();
        }
    }

    /// Forgets every secret.
    pub fn forget(&self) {
        *self.known() = Known::default();
    }

    /// `text` with every known secret masked.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.mask_from(text, 0)
    }

    /// The end of `text`, from the byte `from` on. A secret that begins before it is masked all the same.
    pub(crate) fn mask_from(&self, text: &str, from: usize) -> String {
        masked(text, text.floor_char_boundary(from), &self.index().find(text))
    }

    /// Masks every string in `value`, keys included.
    pub fn mask_json(&self, value: &mut Value) {
        mask_json(&self.index(), value);
    }

    fn index(&self) -> Arc<Index> {
        Arc::clone(&self.known().index)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn reindex(&mut self) {
        let sets = self.sets.iter().map(|(_, patterns)| patterns);
        self.index = Arc::new(Index::new(sets.chain(self.grants.values()).cloned()));
    }
}

fn patterns<'a>(secrets: impl IntoIterator<Item = Option<&'a str>>) -> Patterns {
    let secrets = secrets.into_iter().flatten().filter(|secret| secret.len() >= SHORTEST);
    secrets.flat_map(Pattern::all).collect()
}

fn masked(text: &str, from: usize, secrets: &[Range<usize>]) -> String {
    let (mut masked, mut at) = (String::with_capacity(text.len() - from), from);
    for secret in secrets.iter().filter(|secret| secret.end > from) {
        masked.push_str(&text[at..secret.start.max(at)]);
        masked.push_str(MASK);
        at = secret.end;
    }
    masked.push_str(&text[at..]);
    masked
}

fn mask_json(index: &Index, value: &mut Value) {
    match value {
        Value::String(text) => mask_text(index, text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_json(index, item)),
        Value::Object(fields) => {
            let masked = std::mem::take(fields).into_iter().map(|(mut key, mut value)| {
                mask_text(index, &mut key);
                mask_json(index, &mut value);
                (key, value)
            });
            *fields = masked.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Most texts hold no secret, and stay the very same.
fn mask_text(index: &Index, text: &mut String) {
    let secrets = index.find(text);
    if !secrets.is_empty() {
        *text = masked(text, 0, &secrets);
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
