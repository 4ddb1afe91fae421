//! The keys of a section: their names, and suggestions for unknown keys.

use serde::de::value::Error as ProbeError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The minimum similarity at which a name is suggested for another.
const MIN_SIMILARITY: f64 = 0.85;

/// The key of this file for names that other tools use.
const SYNONYMS: &[(&str, &str)] = &[
    ("source_profile", "source"),
    ("credential_source", "source"),
    ("role_session_name", "session_name"),
    ("duration", "duration_seconds"),
    ("credential_process", "command"),
    ("web_identity_token_file", "token_file"),
    ("profile", "name"),
    ("secret", "secret_id"),
    ("secret_arn", "secret_id"),
    ("static", "memory"),
    ("env", "environment"),
    ("role", "assume-role"),
    ("default", "default-chain"),
    ("sso", "profile"),
    ("credential_process", "process"),
    ("session-token", "federation"),
    ("includetools", "tools"),
    ("excludetools", "tools"),
    ("enabledtools", "tools"),
    ("disabledtools", "tools"),
    ("allowedtools", "tools"),
    ("allow", "tools"),
    ("deny", "tools"),
];

/// Keys under which other files store secrets.
const SECRET_KEYS: [&str; 3] = ["access_key_id", "secret_access_key", "session_token"];

/// Returns the names of a struct's fields as serde reads them.
pub(super) fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields = &[][..];
    // Fails on purpose, after the struct has named its fields.
    drop(T::deserialize(FieldCollector(&mut fields)));
    fields
}

/// Collects the fields of a struct and provides no value.
struct FieldCollector<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldCollector<'_> {
    type Error = ProbeError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ProbeError> {
        Err(ProbeError::custom("no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ProbeError> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Returns the element of `names` that `word` was probably meant to be.
pub(super) fn closest_match<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let word = word.trim().to_lowercase();
    let alike = |name: &str| name.replace('_', "-") == word.replace('_', "-");
    let synonyms = || SYNONYMS.iter().filter(|(other, _)| *other == word).map(|(_, name)| *name);
    let same = names.iter().find(|name| alike(name));
    let synonym = || names.iter().find(|name| synonyms().any(|synonym| synonym == **name));
    let similar = || {
        let scored = names.iter().map(|name| (strsim::jaro_winkler(&word, name), name));
        let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right));
        best.filter(|(score, _)| *score >= MIN_SIMILARITY).map(|(_, name)| name)
    };
    same.or_else(synonym).or_else(similar).copied()
}

/// Returns the end of a message about a name that is none of `names`: all of them, and the one that was probably meant.
pub(crate) fn suggest_name(word: &str, names: &[&str]) -> String {
    format!("name one of: {}{}", names.join(", "), did_you_mean(word, names))
}

/// Returns the question whether one of `names` was meant, or nothing if none of them is similar.
pub(crate) fn did_you_mean(word: &str, names: &[&str]) -> String {
    closest_match(word, names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Returns the error message for an unknown key of a section. `names` are the known ones.
pub(super) fn unknown_key_message(key: &str, names: &[&str]) -> String {
    let plain =
        key.len() <= 64 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let field = if plain { format!("unknown field `{key}`") } else { "unknown field".to_owned() };
    let bare = key.to_lowercase();
    if SECRET_KEYS.contains(&bare.trim_start_matches("aws_")) {
        return format!(
            "{field}; keys are not kept in this file: use the provider `environment`, `profile` or `secrets-manager`"
        );
    }
    match closest_match(key, names) {
        Some(name) => format!("{field}; did you mean `{name}`?"),
        None => format!("{field}; use one of: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ProviderSettings, RoleSettings, ServerSettings};

    #[test]
    fn field_names_of_struct_lists_its_fields() {
        let fields = [
            "credentials",
            "account",
            "home",
            "prefix",
            "idle_seconds",
            "service",
            "region",
            "list_account",
            "tool_policies",
        ];
        assert_eq!(field_names::<ServerSettings>(), fields);
        assert_eq!(field_names::<String>(), [""; 0]);
    }

    #[test]
    fn closest_match_synonym_or_typo_finds_name() {
        let fields = field_names::<RoleSettings>();
        for (word, name) in [
            ("source_profile", Some("source")),
            ("role_session_name", Some("session_name")),
            ("duration", Some("duration_seconds")),
            ("rolearn", Some("role_arn")),
            ("external-id", Some("external_id")),
            ("colour", None),
        ] {
            assert_eq!(closest_match(word, fields), name, "{word}");
        }
        for (word, name) in [
            ("assume_role", Some("assume-role")),
            ("env", Some("environment")),
            ("enviroment", Some("environment")),
            ("SecretsManager", Some("secrets-manager")),
            ("sso", Some("profile")),
            ("canary", None),
        ] {
            assert_eq!(closest_match(word, ProviderSettings::NAMES), name, "{word}");
        }
    }

    #[test]
    fn unknown_key_message_odd_characters_omits_key() {
        assert_eq!(unknown_key_message("\x1b[31m", &["a"]), "unknown field; use one of: a");
        assert!(
            unknown_key_message("aws_secret_access_key", &["a"]).contains("keys are not kept in this file")
        );
    }
}
