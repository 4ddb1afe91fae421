//! Redaction by exact value: a session's live secrets are masked wherever they are about to leave, in every encoding
//! in which programs write them.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use valetkey_core::Credentials;

/// What is written in place of a secret.
const MASK: &str = "[redacted]";
/// How many recent sets stay known, so that a secret that has just rotated is masked as well.
const REMEMBERED_SETS: usize = 8;
/// How many tokens stay known; each start of a server makes one.
const REMEMBERED_TOKENS: usize = 256;
/// Shorter texts are no secrets, and would mask by accident.
const SHORTEST: usize = 8;

/// What URL encoders leave alone (RFC 3986, unreserved), and what those leave alone that keep slashes.
const URL_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const URL_PATH: &AsciiSet = &URL_COMPONENT.remove(b'/');

/// Knows the recent secrets of one session and masks them in text and JSON.
#[derive(Default)]
pub struct Redactor {
    /// All spellings of each remembered set, newest last.
    sets: Mutex<Vec<Vec<SecretString>>>,
    /// Those of the tokens that open the session's endpoints.
    tokens: Mutex<Vec<Vec<SecretString>>>,
}

impl Redactor {
    /// Learns the secrets of a set; a set known already costs nothing more.
    pub fn learn(&self, credentials: &Credentials) {
        let parts = [Some(credentials.expose_secret_access_key()), credentials.expose_session_token()];
        let parts = parts.into_iter().flatten().filter(|part| part.len() >= SHORTEST);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |part: &str| sets.iter().flatten().any(|known| known.expose_secret() == part);
        let new: Vec<_> = parts.filter(|part| !known(part)).flat_map(spellings).collect();
        if new.is_empty() {
            return;
        }
        remember(&mut sets, new, REMEMBERED_SETS);
    }

    /// Learns a token with which the session's credentials can be read.
    pub(crate) fn learn_token(&self, token: &str) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        remember(&mut tokens, spellings(token), REMEMBERED_TOKENS);
    }

    /// Forgets every secret.
    pub fn forget(&self) {
        for known in [&self.sets, &self.tokens] {
            known.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// `text` with every known secret masked.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for known in [&self.sets, &self.tokens] {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            for spelling in known.iter().flatten().map(ExposeSecret::expose_secret) {
                if masked.contains(spelling) {
                    masked = masked.replace(spelling, MASK);
                }
            }
        }
        masked
    }

    /// Masks every string in `value`, keys included.
    pub fn mask_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.mask(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_json(item)),
            Value::Object(fields) => {
                let masked = std::mem::take(fields).into_iter().map(|(key, mut value)| {
                    self.mask_json(&mut value);
                    (self.mask(&key), value)
                });
                *fields = masked.collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn remember(known: &mut Vec<Vec<SecretString>>, new: Vec<SecretString>, most: usize) {
    known.push(new);
    let excess = known.len().saturating_sub(most);
    known.drain(..excess);
}

/// As it is; as JSON writes it, also within JSON text; as URLs do, strictly and loosely; the Base64 alphabets.
fn spellings(secret: &str) -> Vec<SecretString> {
    let url = |kept: &'static AsciiSet| utf8_percent_encode(secret, kept).to_string();
    let json = json_escaped(secret);
    let mut all = vec![
        secret.to_owned(),
        json_escaped(&json),
        json,
        secret.replace('/', "\\/"),
        url(NON_ALPHANUMERIC),
        url(URL_COMPONENT),
        lower_escapes(&url(URL_COMPONENT)),
        url(URL_PATH),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    let mut seen = HashSet::new();
    all.retain(|spelling| seen.insert(spelling.clone()));
    all.into_iter().map(SecretString::from).collect()
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// `%2F` as `%2f`: both are written.
fn lower_escapes(url: &str) -> String {
    let mut escapes = url.split('%');
    let first = escapes.next().unwrap_or_default().to_owned();
    escapes.fold(first, |text, escape| {
        let (digits, rest) = escape.split_at(escape.len().min(2));
        format!("{text}%{}{rest}", digits.to_lowercase())
    })
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use valetkey_core::Expiry;
    use valetkey_core::testing::Canary;

    #[test]
    fn every_spelling_of_a_live_secret_is_masked() {
        let canary = Canary::new();
        let credentials = canary.credentials(Expiry::Never).unwrap();
        let redactor = Redactor::default();
        redactor.learn(&credentials);
        let secret = canary.expose_secret();
        for spelling in spellings(secret) {
            let text = format!("before {} after", spelling.expose_secret());
            assert!(text.contains(spelling.expose_secret()));
            assert_eq!(redactor.mask(&text), "before [redacted] after");
        }
        let mut value = serde_json::json!({"k": [secret, {secret: 1}]});
        assert!(!canary.found_in(&value.to_string()).is_empty());
        redactor.mask_json(&mut value);
        assert!(canary.found_in(&value.to_string()).is_empty());
    }
}
