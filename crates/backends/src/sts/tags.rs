//! The session tags of a request.

use std::collections::BTreeSet;

use aws_sdk_sts::types::Tag;
use valetkey_core::{Error, Result};

use super::limits::{ensure, has_aws_prefix};

const MAX_TAGS: usize = 50;

/// What a session is marked with, in the order it was said.
#[derive(Clone, Default)]
pub(crate) struct SessionTags(Vec<(String, String)>);

impl SessionTags {
    pub(crate) fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push((key.into(), value.into()));
    }

    pub(crate) fn check(&self) -> Result<()> {
        ensure(self.0.len() <= MAX_TAGS, "tags", "must be at most 50")?;
        let mut seen = BTreeSet::new();
        for (key, value) in &self.0 {
            check_key("tags", key)?;
            ensure(
                is_well_formed_value(value),
                "tags",
                "must have values of at most 256 letters, digits, spaces and `_ . : / = + - @`",
            )?;
            ensure(!has_aws_prefix(value), "tags", "must have no value that begins with `aws:`")?;
            ensure(seen.insert(key.to_lowercase()), "tags", "must not name a key twice, whatever its case")?;
        }
        Ok(())
    }

    /// Checks the keys of those that pass on to further roles.
    pub(crate) fn check_transitive(&self, keys: &[String]) -> Result<()> {
        const FIELD: &str = "transitive_tags";
        ensure(keys.len() <= MAX_TAGS, FIELD, "must be at most 50")?;
        for key in keys {
            check_key(FIELD, key)?;
            let known = self.0.iter().any(|(tag, _)| tag == key);
            ensure(known, FIELD, "must each be the key of one of the tags")?;
        }
        Ok(())
    }

    /// The tags as the SDK's, or nothing: an empty list would be sent.
    pub(crate) fn to_sdk(&self) -> Result<Option<Vec<Tag>>> {
        let tags = self.0.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
        let tags: Vec<Tag> = tags
            .collect::<Result<_, _>>()
            .map_err(|_| Error::invalid("tags", "must have keys and values"))?;
        Ok(Some(tags).filter(|tags| !tags.is_empty()))
    }
}

/// Whether AWS takes the text for the value of a tag.
pub(super) fn is_valid_tag_value(text: &str) -> bool {
    is_well_formed_value(text) && !has_aws_prefix(text)
}

fn is_well_formed_value(value: &str) -> bool {
    value.chars().count() <= 256 && value.chars().all(is_tag_char)
}

fn check_key(field: &'static str, key: &str) -> Result<()> {
    let fits = (1..=128).contains(&key.chars().count()) && key.chars().all(is_tag_char);
    ensure(fits, field, "must have keys of 1 to 128 letters, digits, spaces and `_ . : / = + - @`")?;
    ensure(!has_aws_prefix(key), field, "must have no key that begins with `aws:`")
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`; marks that belong to letters pass here and are left to STS.
fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}
