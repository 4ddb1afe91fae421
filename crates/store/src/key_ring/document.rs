//! The JSON document of a key ring.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use data_encoding::BASE64;
use secrecy::SecretString;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use valetkey_core::Error;
use zeroize::Zeroizing;

use super::{KEY_BYTES, KeyRing, MAX_KEYS, RingKey, Term, invalid};

const VERSION: u32 = 1;
const MAX_BYTES: usize = 4 * 1024;
const SHAPE: &str =
    "is not a document `{\"version\": 1, \"current\": 1, \"keys\": [{\"term\": 1, \"key\": \"…\"}]}`";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    current: u32,
    keys: Vec<Entry>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    term: u32,
    key: EncodedKey,
}

/// Parses a document. The message of the parser is dropped, since it may repeat a part of a key.
pub(super) fn parse(text: &str) -> Result<KeyRing, Error> {
    if text.len() > MAX_BYTES {
        return Err(invalid("is longer than 4,096 bytes"));
    }
    let document: Document = serde_json::from_str(text.trim()).map_err(|_echo| invalid(SHAPE))?;
    if document.version != VERSION {
        return Err(
            invalid("has a version that this program does not know").with_next_step("update valetkey")
        );
    }
    let keys = collect_keys(document.keys)?;
    KeyRing::new(parse_term(document.current)?, keys)
}

fn collect_keys(entries: Vec<Entry>) -> Result<BTreeMap<Term, RingKey>, Error> {
    if entries.len() > MAX_KEYS {
        return Err(invalid("has more than sixteen keys"));
    }
    let mut keys = BTreeMap::new();
    for Entry { term, key: EncodedKey(key) } in entries {
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(invalid("has a key that is not random"));
        }
        if keys.insert(parse_term(term)?, key).is_some() {
            return Err(invalid("has two keys of one term"));
        }
    }
    Ok(keys)
}

fn parse_term(number: u32) -> Result<Term, Error> {
    Term::new(number).ok_or_else(|| invalid("has the term 0; terms begin with 1"))
}

/// Writes the document into a buffer that never grows, since the part that a growing buffer leaves behind holds keys.
pub(super) fn write(ring: &KeyRing) -> SecretString {
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES));
    let encoding = BASE64;
    // Writing to a string does not fail.
    let _infallible = write!(text, "{{\"version\":{VERSION},\"current\":{},\"keys\":[", ring.current);
    for (index, (term, key)) in ring.keys.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let key = encoding.encode_display(&**key);
        let _infallible = write!(text, "{comma}{{\"term\":{term},\"key\":\"{key}\"}}");
    }
    text.push_str("]}");
    SecretString::from(text.as_str())
}

/// A key in base64. Only text without escapes is read: the parser would copy any other.
struct EncodedKey(RingKey);

impl<'de> Deserialize<'de> for EncodedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(EncodedKeyVisitor)
    }
}

struct EncodedKeyVisitor;

impl<'de> Visitor<'de> for EncodedKeyVisitor {
    type Value = EncodedKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("32 bytes in base64")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<EncodedKey, E> {
        // Room for the padding, which the decoder counts.
        let mut decoded = Zeroizing::new([0; KEY_BYTES + 1]);
        let length = BASE64.decode_len(text.len()).ok().filter(|length| *length == decoded.len());
        length.ok_or_else(|| E::custom("length"))?;
        match BASE64.decode_mut(text.as_bytes(), &mut *decoded) {
            Ok(KEY_BYTES) => {}
            Ok(_) | Err(_) => return Err(E::custom("base64")),
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(&decoded[..KEY_BYTES]);
        Ok(EncodedKey(key))
    }
}
