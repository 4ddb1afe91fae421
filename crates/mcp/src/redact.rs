//! Redaction by exact value: a session's live secrets are masked wherever they are about to leave, in every encoding
//! in which programs write them.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use valetkey_core::Credentials;

/// What is written in place of a secret.
const MASK: &str = "[redacted]";
/// How many recent sets stay known, so that a secret that has just rotated is masked as well.
const REMEMBERED_SETS: usize = 8;
/// Shorter texts are no secrets, and would mask by accident.
const SHORTEST: usize = 8;

/// Knows the recent secrets of one session and masks them in text and JSON.
#[derive(Default)]
pub struct Redactor {
    /// All spellings of each remembered set, newest last.
    sets: Mutex<Vec<Vec<SecretString>>>,
}

impl Redactor {
    /// Learns the secrets of a set; a set known already costs nothing more.
    pub fn learn(&self, credentials: &Credentials) {
        let secret = credentials.expose_secret_access_key();
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.iter().any(|set| set.first().is_some_and(|known| known.expose_secret() == secret)) {
            return;
        }
        let parts = [Some(secret), credentials.expose_session_token()];
        sets.push(
            parts.into_iter().flatten().filter(|part| part.len() >= SHORTEST).flat_map(spellings).collect(),
        );
        let excess = sets.len().saturating_sub(REMEMBERED_SETS);
        sets.drain(..excess);
    }

    /// Forgets every secret.
    pub fn forget(&self) {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// `text` with every known secret masked.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut masked = text.to_owned();
        for spelling in sets.iter().flatten().map(ExposeSecret::expose_secret) {
            if masked.contains(spelling) {
                masked = masked.replace(spelling, MASK);
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

/// Raw first, then URL-escaped, JSON-escaped and the Base64 alphabets.
fn spellings(secret: &str) -> Vec<SecretString> {
    let mut all = vec![
        secret.to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        secret.replace('/', "\\/"),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    let mut seen = Vec::new();
    all.retain(|spelling| {
        !seen.contains(spelling) && {
            seen.push(spelling.clone());
            true
        }
    });
    all.into_iter().map(SecretString::from).collect()
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
