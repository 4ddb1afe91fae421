//! Redaction: masks a session's secrets in output, by exact value in any common encoding, and other AWS keys by the
//! names of their fields and their shape.
//!
//! Escapes in a text are decoded first. All secrets are then searched for at once, in time that depends only on the
//! length of the text. No lock is held during the search: the index of secrets is shared and replaced on change.

mod fields;
mod index;
mod normalize;
mod pattern;
mod prefix_filter;
mod rolling_hash;
mod shape;
mod state;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use uuid::Uuid;
use valetkey_core::{Clock, CredentialObserver, Credentials, Expiry, SystemClock};

use index::PatternIndex;
use pattern::Pattern;
use state::{Digest, RedactorState, digest_secrets};

/// The replacement for a secret.
const MASK: &str = "[redacted]";
/// Shorter texts are not secrets; masking them would also mask unrelated text.
const MIN_SECRET_LEN: usize = 8;
/// Larger values, in bytes, are masked on a thread for blocking work.
const MAX_INLINE_SIZE: usize = 64 * 1024;

/// Masks the secrets of one session in text and JSON.
///
/// AWS keys that the session does not know, such as those that a server has created, are masked by the names of their
/// fields and their shape: in JSON, and in the formats of AWS command lines, configuration files and shells.
///
/// A secret is masked while AWS accepts it, and so are the 32 that expired last. A secret without a session token
/// counts as valid while the redactor exists. Of each secret only lengths, hashes and the first eight characters of
/// its encodings are stored: at most 5 KB for a secret and its session token, regardless of their size. The limit is
/// 16,384 valid credentials per redactor (80 MB). Beyond that the redactor masks every text as a whole, because
/// evicting a secret would expose it; [`clear`](Self::clear) resets this.
///
/// [`SessionContext::observe`](valetkey_core::SessionContext::observe) attaches a redactor to a session, which then
/// adds all credentials that the session is given or fetches.
///
/// # Examples
/// ```
/// # fn example(credentials: &valetkey_core::Credentials) {
/// use valetkey_mcp::Redactor;
///
/// let redactor = Redactor::default();
/// redactor.add(credentials);
/// println!("{}", redactor.mask("output of a program"));
/// # }
/// ```
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
    /// Creates a redactor that uses `clock` to determine whether credentials have expired.
    ///
    /// Use the clock of the session whose secrets are masked, as [`McpHost`](crate::McpHost) does.
    ///
    /// # Examples
    /// ```
    /// use valetkey_core::SessionContext;
    /// use valetkey_mcp::Redactor;
    ///
    /// let session = SessionContext::builder().build();
    /// let redactor = Redactor::with_clock(session.clock());
    /// assert_eq!(redactor.mask("no secret is known yet"), "no secret is known yet");
    /// ```
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Adds the secret access key and the session token of `credentials`.
    ///
    /// The access key id is no secret and stays readable.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> valetkey_core::Result<()> {
    /// use valetkey_core::Credentials;
    /// use valetkey_mcp::Redactor;
    ///
    /// let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    /// let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, secret.into()).build()?;
    /// let redactor = Redactor::default();
    /// redactor.add(&credentials);
    /// assert_eq!(redactor.mask(&format!("key={secret};")), "key=[redacted];");
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn add(&self, credentials: &Credentials) {
        let (secret, token) = (credentials.expose_secret_access_key(), credentials.expose_session_token());
        // Only a session token expires. The expiry of long-lived keys is the time to fetch them again, not the end of
        // their validity.
        let valid_until = if token.is_some() { credentials.expiry() } else { Expiry::Never };
        let digest = digest_secrets([secret, token.unwrap_or_default()]);
        self.add_secrets(digest, valid_until, [Some(secret), token]);
    }

    /// Adds a secret that is valid while the redactor exists.
    pub(crate) fn add_secret(&self, secret: &str) {
        self.add_secrets(digest_secrets([secret]), Expiry::Never, [Some(secret)]);
    }

    /// Adds secrets under one digest. Known secrets are only extended.
    fn add_secrets<'a>(
        &self,
        digest: Digest,
        valid_until: Expiry,
        secrets: impl IntoIterator<Item = Option<&'a str>>,
    ) {
        if self.lock_state().extend_validity(&digest, valid_until) {
            return;
        }
        // The lock is released meanwhile, because tokens are long.
        let patterns = build_patterns(secrets);
        let now = self.clock.now();
        let mut state = self.lock_state();
        state.insert(digest, valid_until, patterns);
        state.remove_expired(now);
    }

    /// Adds the id and the secrets of a grant, until [`remove_grant`](Self::remove_grant).
    pub(crate) fn add_grant(&self, id: Uuid, secrets: &[&str]) {
        let id_text = id.simple().to_string();
        let patterns = build_patterns(std::iter::once(&*id_text).chain(secrets.iter().copied()).map(Some));
        self.lock_state().insert_grant(id, patterns);
    }

    /// Removes the id and token of a revoked grant.
    pub(crate) fn remove_grant(&self, id: Uuid) {
        self.lock_state().remove_grant(id);
    }

    /// Removes every secret.
    ///
    /// Texts that still contain the removed secrets are no longer masked, so clear a redactor only after the last
    /// output of the session.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> valetkey_core::Result<()> {
    /// # use valetkey_core::Credentials;
    /// # use valetkey_mcp::Redactor;
    /// # let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, secret.into()).build()?;
    /// let redactor = Redactor::default();
    /// redactor.add(&credentials);
    /// assert_eq!(redactor.mask(secret), "[redacted]");
    /// redactor.clear();
    /// assert_eq!(redactor.mask(secret), secret);
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn clear(&self) {
        *self.lock_state() = RedactorState::default();
    }

    /// Returns `text` with every known secret masked.
    ///
    /// A secret is found in its plain form, in Base64 at any offset and in hexadecimal, each with any mix of the
    /// escapes of JSON, JavaScript, URLs and HTML, and wrapped in lines. A secret that the text contains only in part
    /// is not found.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> valetkey_core::Result<()> {
    /// # use valetkey_core::Credentials;
    /// # use valetkey_mcp::Redactor;
    /// # let id = "AKIAIOSFODNN7EXAMPLE".parse()?;
    /// # let credentials = Credentials::builder(id, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()).build()?;
    /// # let redactor = Redactor::default();
    /// # redactor.add(&credentials);
    /// let escaped = r"wJalrXUtnFEMI\u002fK7MDENG%2FbPxRfiCYEXAMPLEKEY";
    /// assert_eq!(redactor.mask(&format!("a {escaped} b")), "a [redacted] b");
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.mask_tail(text, 0)
    }

    /// Returns the end of `text` from the byte `from` on, masked. A secret that begins before `from` is recognized.
    pub(crate) fn mask_tail(&self, text: &str, from: usize) -> String {
        mask_ranges(text, text.floor_char_boundary(from), &find_secrets(&self.index(), text))
    }

    /// Masks every string in `value`, including keys.
    ///
    /// Numbers, booleans and the structure stay unchanged. If masking makes two keys of an object equal, the later
    /// value replaces the earlier one.
    ///
    /// # Examples
    /// ```
    /// # fn example() -> valetkey_core::Result<()> {
    /// # use valetkey_core::Credentials;
    /// # use valetkey_mcp::Redactor;
    /// # let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    /// # let credentials = Credentials::builder("AKIAIOSFODNN7EXAMPLE".parse()?, secret.into()).build()?;
    /// # let redactor = Redactor::default();
    /// # redactor.add(&credentials);
    /// let mut result = serde_json::json!({"lines": [format!("key: {secret}")], "count": 1});
    /// redactor.mask_json(&mut result);
    /// assert_eq!(result, serde_json::json!({"lines": ["key: [redacted]"], "count": 1}));
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn mask_json(&self, value: &mut Value) {
        mask_json_with(&self.index(), value);
    }

    /// Returns `value` with every string masked. Large values are masked on a thread for blocking work, so that calls
    /// of other sessions are not delayed. Returns `None` if that thread failed, because an unmasked value must not be
    /// sent.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the masking; the value is dropped afterwards.
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
        self.state.lock()
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

/// Returns `text` from the byte `from` on, with each range of `secrets` replaced by the mask. The ranges are in order
/// and do not overlap. A range that begins before `from` is masked from there.
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

/// Whether the strings of `value`, plus one byte for each of its parts, fit into `room`, which is reduced
/// accordingly.
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

/// Takes `size` bytes and one more from `room`. Returns false, and leaves no room, if there is not enough.
fn consume_budget(room: &mut usize, size: usize) -> bool {
    let remaining = room.checked_sub(size + 1);
    *room = remaining.unwrap_or_default();
    remaining.is_some()
}

fn mask_json_with(index: &PatternIndex, value: &mut Value) {
    match value {
        Value::String(text) => mask_text_with(index, text),
        Value::Array(items) => {
            fields::mask_array(items);
            items.iter_mut().for_each(|item| mask_json_with(index, item));
        }
        Value::Object(fields) => {
            fields::mask_object(fields);
            fields.values_mut().for_each(|value| mask_json_with(index, value));
            // Hardly any object has a secret among its keys; the others are not built anew.
            if fields.keys().any(|key| !find_secrets(index, key).is_empty()) {
                let masked = std::mem::take(fields).into_iter().map(|(mut key, value)| {
                    mask_text_with(index, &mut key);
                    (key, value)
                });
                *fields = masked.collect();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the ranges of known secrets and of texts with the shape of a secret, in order and without overlap.
fn find_secrets(index: &PatternIndex, text: &str) -> Vec<Range<usize>> {
    let (mut known, shaped) = (index.find_secrets(text), shape::find_secrets(text));
    if shaped.is_empty() {
        return known;
    }
    known.extend(shaped);
    known.sort_unstable_by_key(|range| range.start);
    known.dedup_by(|next, last| {
        let overlaps = next.start <= last.end;
        if overlaps {
            last.end = last.end.max(next.end);
        }
        overlaps
    });
    known
}

/// Replaces `text` only if it contains a secret, because most texts do not.
fn mask_text_with(index: &PatternIndex, text: &mut String) {
    let secrets = find_secrets(index, text);
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
mod shape_tests;
#[cfg(test)]
mod tests;
