//! Masks the secrets of JSON objects and arrays by the names of their fields.
//!
//! An object with an access key id and a secret access key is recognized whatever the shape of the values, since keys of
//! emulators are short. A list of environment variables has the name and the value of a variable in two fields.

use serde_json::{Map, Value};

use super::shape::{self, SecretKind};
use super::{MASK, MIN_SECRET_LEN};

/// Longer names are not those of credentials.
const MAX_NAME_LEN: usize = 64;

/// What an object says about its fields.
struct ObjectShape {
    has_key_id: bool,
    has_secret: bool,
    /// The kind of the variable that the object describes.
    variable: Option<SecretKind>,
}

/// Masks the fields of an object that are secrets.
pub(super) fn mask_object(fields: &mut Map<String, Value>) {
    let Some(shape) = ObjectShape::of(fields) else { return };
    for (name, value) in fields {
        if value.as_str().is_some_and(|text| shape.is_secret(name, text)) {
            *value = Value::from(MASK);
        }
    }
}

/// Masks the items of an array with an access key id that are secrets: a row of a table without the names of its columns.
pub(super) fn mask_array(items: &mut [Value]) {
    if items.iter().filter_map(Value::as_str).any(shape::is_key_id_text) {
        for item in items.iter_mut() {
            if item.as_str().is_some_and(shape::has_shape_without_name) {
                *item = Value::from(MASK);
            }
        }
    }
}

impl ObjectShape {
    /// Returns `None` for an object that has no name of a secret, as most objects.
    fn of(fields: &Map<String, Value>) -> Option<Self> {
        let texts = || fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        let variable = texts()
            .filter(|(name, _)| name.eq_ignore_ascii_case("name") || name.eq_ignore_ascii_case("key"))
            .find_map(|(_, text)| kind(text));
        let has_secret = texts().any(|(name, text)| is_secret_key(name) && is_plausible(text));
        let has_kind = has_secret || variable.is_some() || texts().any(|(name, _)| kind(name).is_some());
        let has_key_id = || texts().any(|(name, _)| is_key_id(name));
        has_kind.then(|| Self { has_key_id: has_key_id(), has_secret, variable })
    }

    fn is_secret(&self, name: &str, text: &str) -> bool {
        if self.has_key_id && is_secret_key(name) {
            return is_plausible(text);
        }
        match kind(name).or(self.variable.filter(|_| name.eq_ignore_ascii_case("value"))) {
            Some(SecretKind::SessionToken | SecretKind::Token) if self.has_key_id && self.has_secret => {
                is_plausible(text)
            }
            Some(SecretKind::Token) | None => false,
            Some(kind) => shape::has_shape(kind, text),
        }
    }
}

fn kind(name: &str) -> Option<SecretKind> {
    if name.len() <= MAX_NAME_LEN { shape::kind_of_field(name) } else { None }
}

fn is_secret_key(name: &str) -> bool {
    name.len() <= MAX_NAME_LEN
        && (shape::field_ends_with(name, &[b"secret", b"access", b"key"])
            || shape::field_ends_with(name, &[b"secret", b"key"]))
}

fn is_key_id(name: &str) -> bool {
    name.len() <= MAX_NAME_LEN
        && !is_secret_key(name)
        && (shape::field_ends_with(name, &[b"access", b"key", b"id"])
            || shape::field_ends_with(name, &[b"access", b"key"]))
}

/// Whether a text can be a key: it is neither a description nor a placeholder such as `string`.
fn is_plausible(text: &str) -> bool {
    text.len() >= MIN_SECRET_LEN && !text.contains(char::is_whitespace)
}
