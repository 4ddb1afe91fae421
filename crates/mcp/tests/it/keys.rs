//! Credentials that are distinguished by the last four characters of their key id.

use std::time::{Duration, SystemTime};

use valetkey_core::{AccessKeyId, Clock, Credentials, Expiry, SystemClock};

/// Returns temporary credentials that are valid for an hour. Their secret and token contain `name` too.
pub(crate) fn keys(name: &str) -> Credentials {
    keys_expiring_at(name, SystemClock.now() + Duration::from_secs(3600))
}

pub(crate) fn keys_expiring_at(name: &str, expires_at: SystemTime) -> Credentials {
    Credentials::builder(key_id(name), secret_of_key(name).into())
        .session_token(Some(token_of_key(name).into()))
        .expiry(Expiry::At(expires_at))
        .build()
        .unwrap()
}

pub(crate) fn long_lived_keys(name: &str) -> Credentials {
    Credentials::builder(key_id(name), secret_of_key(name).into()).build().unwrap()
}

pub(crate) fn secret_of_key(name: &str) -> String {
    format!("secret/of+{name}-kept")
}

pub(crate) fn token_of_key(name: &str) -> String {
    format!("token/of+{name}-kept==")
}

fn key_id(name: &str) -> AccessKeyId {
    assert_eq!(name.len(), 4, "a name is the last four characters of a key id");
    format!("ASIA000000000000{name}").parse().unwrap()
}

/// Asserts that `text` has a mask, and that no character of a secret is left beside any mask. A search for the mask
/// alone would not notice a mask that leaves the last byte of a secret.
#[track_caller]
pub(crate) fn assert_masks_are_whole(text: &str) {
    let parts: Vec<&str> = text.split("[redacted]").collect();
    assert!(parts.len() > 1, "no mask in {text}");
    let is_part_of_secret = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    for after in &parts[1..] {
        assert!(!after.starts_with(is_part_of_secret), "a mask is not whole: {text}");
    }
    for before in &parts[..parts.len() - 1] {
        assert!(!before.ends_with(|c: char| c.is_ascii_alphanumeric()), "a mask is not whole: {text}");
    }
}

/// Asserts that `text` contains no eight consecutive characters of a secret. A mask that left the last of them would
/// show too much.
#[track_caller]
pub(crate) fn assert_no_secret_part(text: &str, secret: &str) {
    for part in secret.as_bytes().windows(8) {
        let part = std::str::from_utf8(part).unwrap();
        assert!(!text.contains(part), "`{part}` in {text}");
    }
}
