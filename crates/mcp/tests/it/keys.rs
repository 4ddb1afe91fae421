//! Credentials that are told apart by the last four characters of their key id.

use std::time::{Duration, SystemTime};

use valetkey_core::{AccessKeyId, Clock, Credentials, Expiry, SystemClock};

/// A temporary set for an hour. Its secret and token hold `name` as well.
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

/// No eight characters of a secret in a row are in `text`: a mask that leaves the last of them would show too much.
#[track_caller]
pub(crate) fn assert_no_secret_part(text: &str, secret: &str) {
    for part in secret.as_bytes().windows(8) {
        let part = std::str::from_utf8(part).unwrap();
        assert!(!text.contains(part), "`{part}` in {text}");
    }
}
