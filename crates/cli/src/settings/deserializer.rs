//! Deserializes a section of TOML with serde. An error is data: the key, the position, and what was expected.

use std::fmt;
use std::ops::Range;

use serde::Deserializer;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::keys;

/// Why a section could not be deserialized. It contains no value of the file.
#[derive(Debug)]
pub(super) struct ReadError {
    pub(super) problem: Problem,
    /// The key of the section whose value has the problem; `None` for the section itself.
    pub(super) key: Option<String>,
    /// The bytes of the innermost value with the problem.
    pub(super) span: Option<Range<usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// A table has no value for a required field.
    MissingField(&'static str),
    /// A table has a field that is not one of the names.
    UnknownField(String, &'static [&'static str]),
    /// A value is of the wrong type or out of range.
    Mismatch(Expectation),
    /// The type refuses the value for a reason of its own. Its text is dropped, because it may contain the value.
    Refused,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expectation {
    Boolean,
    WholeNumber,
    String,
    List,
    Table,
    OneOf(&'static [&'static str]),
    /// As the type describes it.
    Described(String),
}

impl ReadError {
    fn mismatch(expectation: Expectation) -> Self {
        Problem::Mismatch(expectation).into()
    }

    /// Describes the problem, for a message about `self.key` or about the section.
    pub(super) fn message(&self) -> String {
        let is_duration = self.key.as_ref().is_some_and(|key| key.ends_with("_seconds"));
        let expected = match &self.problem {
            Problem::MissingField(field) => return format!("missing field `{field}`"),
            Problem::UnknownField(field, names) => return keys::unknown_key_message(field, names),
            Problem::Refused => return "holds a value of the wrong type".to_owned(),
            Problem::Mismatch(expectation) => expectation,
        };
        let expected = match expected {
            Expectation::Boolean => "`true` or `false`, without quotes",
            Expectation::WholeNumber if is_duration => "a whole number of seconds, without quotes",
            Expectation::WholeNumber => "a whole number, without quotes",
            Expectation::String => "a string, in quotes",
            Expectation::List => "a list, such as [\"a\", \"b\"]",
            Expectation::Table => "a table",
            Expectation::OneOf(names) => return format!("must be {}", quoted_names(names)),
            Expectation::Described(description) => description,
        };
        format!("must be {expected}")
    }
}

fn quoted_names(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] | [_] => quoted.concat(),
        [first, second] => format!("{first} or {second}"),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

impl From<Problem> for ReadError {
    fn from(problem: Problem) -> Self {
        Self { problem, key: None, span: None }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Problem::Refused.into()
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(Expectation::Described(expected.to_string()))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(Expectation::Described(expected.to_string()))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::mismatch(Expectation::Described(expected.to_string()))
    }

    fn unknown_variant(_: &str, names: &'static [&'static str]) -> Self {
        Self::mismatch(Expectation::OneOf(names))
    }

    fn unknown_field(field: &str, names: &'static [&'static str]) -> Self {
        Problem::UnknownField(field.to_owned(), names).into()
    }

    fn missing_field(field: &'static str) -> Self {
        Problem::MissingField(field).into()
    }
}

/// A section, and the fields for which a placeholder is read, so that the other fields are checked.
#[derive(Clone, Copy)]
pub(super) struct Section<'v, 'i> {
    table: &'v DeTable<'i>,
    placeholders: &'v [&'static str],
}

impl<'v, 'i> Section<'v, 'i> {
    pub(super) fn new(table: &'v DeTable<'i>, placeholders: &'v [&'static str]) -> Self {
        Self { table, placeholders }
    }
}

impl<'de> Deserializer<'de> for Section<'_, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let placeholders = self.placeholders.iter().map(|key| (*key, Value { key, value: None }));
        visitor.visit_map(MapDeserializer::new(entries(self.table).chain(placeholders)))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn entries<'v, 'i>(table: &'v DeTable<'i>) -> impl Iterator<Item = (&'v str, Value<'v, 'i>)> {
    table.iter().map(|(key, value)| {
        let key = key.get_ref().as_ref();
        (key, Value { key, value: Some(value) })
    })
}

/// The value of a key, or a part of it.
#[derive(Clone, Copy)]
struct Value<'v, 'i> {
    key: &'v str,
    /// `None` for a placeholder, which is valid as any type.
    value: Option<&'v Spanned<DeValue<'i>>>,
}

impl<'v, 'i> Value<'v, 'i> {
    fn get(self) -> Option<&'v DeValue<'i>> {
        self.value.map(Spanned::get_ref)
    }

    /// Adds the position to an error. The outermost key is added last and replaces the others.
    fn locate<T>(self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|error| ReadError {
            span: error.span.or_else(|| self.value.map(Spanned::span)),
            key: Some(self.key.to_owned()),
            ..error
        })
    }
}

impl<'de> IntoDeserializer<'de, ReadError> for Value<'_, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Defines methods that read a value in the same way as another method.
macro_rules! read_as {
    ($($method:ident: $($name:ident)+),+) => {
        $($(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.$method(visitor)
        })+)+
    };
}

impl<'de> Deserializer<'de> for Value<'_, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.get() {
            Some(DeValue::Boolean(_)) => self.deserialize_bool(visitor),
            Some(DeValue::Integer(_)) => self.deserialize_i64(visitor),
            Some(DeValue::Array(_)) => self.deserialize_seq(visitor),
            Some(DeValue::Table(_)) => self.deserialize_map(visitor),
            Some(DeValue::String(_)) => self.deserialize_str(visitor),
            // No setting has such a type.
            Some(DeValue::Float(_) | DeValue::Datetime(_)) => self.locate(Err(Problem::Refused.into())),
            None => visitor.visit_unit(),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.locate(match self.get() {
            None => visitor.visit_bool(false),
            Some(DeValue::Boolean(value)) => visitor.visit_bool(*value),
            Some(_) => Err(ReadError::mismatch(Expectation::Boolean)),
        })
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let out_of_range = |_: ReadError| ReadError::mismatch(Expectation::WholeNumber);
        self.locate(match self.get() {
            None => visitor.visit_u64(0),
            Some(DeValue::Integer(number)) => match parse_integer(number) {
                Some(number) => visitor.visit_i64(number).map_err(out_of_range),
                None => Err(ReadError::mismatch(Expectation::WholeNumber)),
            },
            Some(_) => Err(ReadError::mismatch(Expectation::WholeNumber)),
        })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.locate(match self.get() {
            None => visitor.visit_str(""),
            Some(DeValue::String(text)) => visitor.visit_str(text),
            Some(_) => Err(ReadError::mismatch(Expectation::String)),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Self { key, .. } = self;
        let items = match self.get() {
            None => [].iter(),
            Some(DeValue::Array(items)) => items.iter(),
            Some(_) => return self.locate(Err(ReadError::mismatch(Expectation::List))),
        };
        let items = items.map(|item| Value { key, value: Some(item) });
        self.locate(visitor.visit_seq(SeqDeserializer::new(items)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.locate(match self.get() {
            None => visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, Self)>())),
            Some(DeValue::Table(table)) => visitor.visit_map(MapDeserializer::new(entries(table))),
            Some(_) => Err(ReadError::mismatch(Expectation::Table)),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let name = match self.get() {
            None => variants.first().copied(),
            Some(DeValue::String(name)) => Some(name.as_ref()),
            Some(_) => None,
        };
        self.locate(match name {
            Some(name) => visitor.visit_enum(name.into_deserializer()),
            None => Err(ReadError::mismatch(Expectation::OneOf(variants))),
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    read_as! {
        deserialize_i64: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_u8 deserialize_u16 deserialize_u32
            deserialize_u64,
        deserialize_str: deserialize_char deserialize_string deserialize_identifier
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

/// Parses a number that fits into 64 bits with a sign, which suffices for every setting.
fn parse_integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        flag: bool,
        lifetime_seconds: u64,
        count: Option<u16>,
        file: PathBuf,
        list: Vec<String>,
        tags: BTreeMap<String, String>,
        mode: Mode,
        nested: Option<Nested>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        First,
        Second,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nested {
        name: String,
    }

    const VALID: &str = "flag = true\nlifetime_seconds = 0x10\ncount = 1_000\nfile = 'f'\nlist = ['a']\n\
                         tags = { a = 'b' }\nmode = 'second'\nnested = { name = 'n' }\n";

    fn read(text: &str, placeholders: &[&'static str]) -> Result<Row, ReadError> {
        Row::deserialize(Section::new(DeTable::parse(text).unwrap().get_ref(), placeholders))
    }

    /// Returns the error of the valid section with the line of `key` replaced.
    fn error_with(key: &str, line: &str) -> (ReadError, String) {
        let line_of_key = |text: &&str| text.starts_with(&format!("{key} = "));
        let old = VALID.lines().find(line_of_key).unwrap();
        let text = VALID.replace(old, line);
        (read(&text, &[]).unwrap_err(), text)
    }

    #[test]
    fn section_valid_values_are_read() {
        let row = read(VALID, &[]).unwrap();
        assert_eq!((row.flag, row.lifetime_seconds, row.count), (true, 16, Some(1_000)));
        assert_eq!((row.file, row.list), (PathBuf::from("f"), vec!["a".to_owned()]));
        assert_eq!(
            (row.tags["a"].as_str(), row.mode, row.nested.unwrap().name.as_str()),
            ("b", Mode::Second, "n")
        );
    }

    #[test]
    fn section_invalid_value_reports_key_position_and_expectation() {
        for (key, value, at, expected) in [
            ("flag", "'canary'", "'canary'", "`true` or `false`, without quotes"),
            ("lifetime_seconds", "'canary'", "'canary'", "a whole number of seconds, without quotes"),
            ("lifetime_seconds", "-1", "-1", "a whole number of seconds, without quotes"),
            (
                "lifetime_seconds",
                "99999999999999999999",
                "99999999999999999999",
                "a whole number of seconds, without quotes",
            ),
            ("count", "70000", "70000", "a whole number, without quotes"),
            ("count", "1.5", "1.5", "a whole number, without quotes"),
            ("file", "1", "1", "a string, in quotes"),
            ("file", "2026-01-01", "2026-01-01", "a string, in quotes"),
            ("list", "'canary'", "'canary'", "a list, such as [\"a\", \"b\"]"),
            ("list", "['a', 7]", "7", "a string, in quotes"),
            ("tags", "['canary']", "['canary']", "a table"),
            ("tags", "{ a = 'b', c = 7 }", "7", "a string, in quotes"),
            ("mode", "'canary'", "'canary'", "`first` or `second`"),
            ("mode", "7", "7", "`first` or `second`"),
            ("nested", "{ name = false }", "false", "a string, in quotes"),
        ] {
            let (error, text) = error_with(key, &format!("{key} = {value}"));
            assert_eq!(error.key.as_deref(), Some(key), "{value}");
            assert_eq!(&text[error.span.clone().unwrap()], at, "{key}");
            assert_eq!(error.message(), format!("must be {expected}"), "{key}");
        }
    }

    #[test]
    fn section_missing_or_unknown_field_is_reported_with_its_table() {
        let (error, _) = error_with("flag", "");
        assert_eq!((error.problem, error.key), (Problem::MissingField("flag"), None));
        let (error, text) = error_with("nested", "nested = {}");
        assert_eq!((&error.problem, error.key.as_deref()), (&Problem::MissingField("name"), Some("nested")));
        assert_eq!(&text[error.span.unwrap()], "{}");
        let (error, _) = error_with("nested", "nested = { name = 'n', nam = 'canary' }");
        assert_eq!(error.problem, Problem::UnknownField("nam".to_owned(), &["name"]));
    }

    #[test]
    fn section_with_placeholders_reports_other_errors() {
        let fields = ["flag", "lifetime_seconds", "file", "list", "tags", "mode"];
        assert!(read("", &fields).is_ok(), "a placeholder is valid as any type");
        let error = read("count = 'canary'", &fields).unwrap_err();
        assert_eq!(error.key.as_deref(), Some("count"));
    }

    #[test]
    fn quoted_names_of_any_number_are_joined() {
        assert_eq!(quoted_names(&["a"]), "`a`");
        assert_eq!(quoted_names(&["a", "b"]), "`a` or `b`");
        assert_eq!(quoted_names(&["a", "b", "c"]), "one of `a`, `b`, `c`");
    }
}
