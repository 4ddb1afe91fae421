//! Redaction by exact value: a session's live secrets are masked wherever they are about to leave, however programs
//! write them.
//!
//! A text is read for what it means rather than how it is escaped, and looked through for all secrets at once, in time
//! that grows with the text alone. No lock is held meanwhile: what is looked for is shared, and replaced when it changes.

mod index;
mod known;
mod meant;
mod pattern;
mod reading;
mod rolling;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use uuid::Uuid;
use valetkey_core::{Clock, CredentialObserver, Credentials, Expiry, SystemClock};

use index::PatternIndex;
use known::{Digest, RedactorState, digest_secrets};
use pattern::Pattern;

/// What is written in place of a secret.
const MASK: &str = "[redacted]";
/// Shorter texts are no secrets, and would mask by accident.
const MIN_SECRET_LEN: usize = 8;
/// What is larger is masked on a thread of its own.
const MAX_INLINE_SIZE: usize = 64 * 1024;

/// Knows the secrets of one session and masks them in text and JSON.
///
/// A secret is known while AWS accepts it, and the last 32 that expired are known as well. A secret without a session
/// token counts as valid for as long as the redactor lives. Of each secret only lengths, hashes and the first eight
/// characters of its spellings are kept: at most 5 KB for a secret and its session token, whatever their size. A session
/// can hold 16,384 valid credentials in this way (80 MB). Beyond that the redactor masks every text as a whole, since a
/// redactor that forgets lets secrets through; [`forget`](Self::remove) begins anew.
///
/// [`SessionContext::observe`](valetkey_core::SessionContext::observe) attaches a redactor to a session, from which it
/// then learns everything that the session is given or fetches.
pub struct Redactor {
    clock: Arc<dyn Clock>,
    state: Mutex<RedactorState>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }
}

impl Redactor {
    /// A redactor that reads from `clock` whether credentials have expired.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Learns the secrets of credentials.
    pub fn add(&self, credentials: &Credentials) {
        let (secret, token) = (credentials.expose_secret_access_key(), credentials.expose_session_token());
        // Only a session token expires; an expiry of long-lived keys is when their source is worth asking again.
        let valid_until = if token.is_some() { credentials.expiry() } else { Expiry::Never };
        let digest = digest_secrets([secret, token.unwrap_or_default()]);
        self.add_secrets(digest, valid_until, [Some(secret), token]);
    }

    /// Learns a secret that is valid for as long as the redactor lives.
    pub(crate) fn add_secret(&self, secret: &str) {
        self.add_secrets(digest_secrets([secret]), Expiry::Never, [Some(secret)]);
    }

    fn add_secrets<'a>(
        &self,
        digest: Digest,
        valid_until: Expiry,
        secrets: impl IntoIterator<Item = Option<&'a str>>,
    ) {
        if self.lock_state().extend_validity(&digest, valid_until) {
            return;
        }
        // Without the lock: tokens are long.
        let patterns = build_patterns(secrets);
        let now = self.clock.now();
        let mut state = self.lock_state();
        state.insert(digest, valid_until, patterns);
        state.remove_expired(now);
    }

    /// Learns what a grant is read with, until the grant is [forgotten](Self::remove_grant).
    pub(crate) fn add_grant(&self, id: Uuid, token: &str) {
        let patterns = build_patterns([Some(id.simple().to_string().as_str()), Some(token)]);
        self.lock_state().insert_grant(id, patterns);
    }

    /// Nothing can be read with the grant any more.
    pub(crate) fn remove_grant(&self, id: Uuid) {
        self.lock_state().remove_grant(id);
    }

    /// Forgets every secret.
    pub fn clear(&self) {
        *self.lock_state() = RedactorState::default();
    }

    /// `text` with every known secret masked.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.mask_tail(text, 0)
    }

    /// The end of `text`, from the byte `from` on. A secret that begins before it is masked all the same.
    pub(crate) fn mask_tail(&self, text: &str, from: usize) -> String {
        mask_ranges(text, text.floor_char_boundary(from), &self.index().find_secrets(text))
    }

    /// Masks every string in `value`, keys included.
    pub fn mask_json(&self, value: &mut Value) {
        mask_json_with(&self.index(), value);
    }

    /// `value` with every string masked. Large values are masked on a thread for blocking work, so that calls of other
    /// sessions go on meanwhile. `None` when that thread was lost: what was not masked must not leave.
    ///
    /// # Cancel safety
    /// When the future is dropped, the value is dropped once it is masked.
    pub(crate) async fn mask_json_async(&self, mut value: Value) -> Option<Value> {
        let (index, small) = (self.index(), fits_within(&value, &mut { MAX_INLINE_SIZE }));
        let mask = move || {
            mask_json_with(&index, &mut value);
            value
        };
        if small { Some(mask()) } else { tokio::task::spawn_blocking(mask).await.ok() }
    }

    fn index(&self) -> Arc<PatternIndex> {
        self.lock_state().index()
    }

    fn lock_state(&self) -> MutexGuard<'_, RedactorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialObserver for Redactor {
    fn observe(&self, credentials: &Credentials) {
        self.add(credentials);
    }
}

fn build_patterns<'a>(secrets: impl IntoIterator<Item = Option<&'a str>>) -> Vec<Pattern> {
    let secrets = secrets.into_iter().flatten().filter(|secret| secret.len() >= MIN_SECRET_LEN);
    secrets.flat_map(Pattern::all_encodings).collect()
}

fn mask_ranges(text: &str, from: usize, secrets: &[Range<usize>]) -> String {
    let (mut masked, mut at) = (String::with_capacity(text.len() - from), from);
    for secret in secrets.iter().filter(|secret| secret.end > from) {
        masked.push_str(&text[at..secret.start.max(at)]);
        masked.push_str(MASK);
        at = secret.end;
    }
    masked.push_str(&text[at..]);
    masked
}

/// Whether the strings of `value`, and a little for each of its parts, fit into `room`, which is used up.
fn fits_within(value: &Value, room: &mut usize) -> bool {
    match value {
        Value::String(text) => consume_budget(room, text.len()),
        Value::Array(items) => consume_budget(room, 0) && items.iter().all(|item| fits_within(item, room)),
        Value::Object(fields) => {
            fields.iter().all(|(key, value)| consume_budget(room, key.len()) && fits_within(value, room))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => consume_budget(room, 0),
    }
}

fn consume_budget(room: &mut usize, size: usize) -> bool {
    let remaining = room.checked_sub(size + 1);
    *room = remaining.unwrap_or_default();
    remaining.is_some()
}

fn mask_json_with(index: &PatternIndex, value: &mut Value) {
    match value {
        Value::String(text) => mask_text_with(index, text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_json_with(index, item)),
        Value::Object(fields) => {
            let masked = std::mem::take(fields).into_iter().map(|(mut key, mut value)| {
                mask_text_with(index, &mut key);
                mask_json_with(index, &mut value);
                (key, value)
            });
            *fields = masked.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Most texts hold no secret, and stay the very same.
fn mask_text_with(index: &PatternIndex, text: &mut String) {
    let secrets = index.find_secrets(text);
    if !secrets.is_empty() {
        *text = mask_ranges(text, 0, &secrets);
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
