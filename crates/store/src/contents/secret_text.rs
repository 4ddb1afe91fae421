//! `SecretText`: a secret in the serialized form of a session's contents.

use std::fmt;

use data_encoding::BASE64;
use secrecy::SecretString;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use valetkey_core::ExposeSecret;
use zeroize::Zeroizing;

/// A secret in base64: JSON never escapes it, so the parser reads it in place and keeps no copy.
pub(super) enum SecretText<'a> {
    Exposed(&'a str),
    Read(SecretString),
}

impl SecretText<'_> {
    pub(super) fn into_secret(self) -> SecretString {
        match self {
            Self::Exposed(text) => SecretString::from(text),
            Self::Read(secret) => secret,
        }
    }
}

impl Serialize for SecretText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self {
            Self::Exposed(text) => text,
            Self::Read(secret) => secret.expose_secret(),
        };
        serializer.collect_str(&BASE64.encode_display(text.as_bytes()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for SecretText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SecretTextVisitor).map(Self::Read)
    }
}

struct SecretTextVisitor;

impl<'de> Visitor<'de> for SecretTextVisitor {
    type Value = SecretString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text in base64")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<SecretString, E> {
        let mut bytes = Zeroizing::new(vec![0; text.len()]);
        let room = BASE64.decode_len(text.len()).map_err(|_length| E::custom("length"))?;
        let length = BASE64
            .decode_mut(text.as_bytes(), &mut bytes[..room])
            .map_err(|_position| E::custom("base64"))?;
        let text = std::str::from_utf8(&bytes[..length]).map_err(|_position| E::custom("text"))?;
        Ok(SecretString::from(text))
    }
}
