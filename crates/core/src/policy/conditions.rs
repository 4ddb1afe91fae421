//! `Conditions`: when a statement applies. All of them must hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{Error, Result};

type ConditionValues = BTreeSet<String>;

/// Values by operator and key. The case of operators and keys does not count: no two differ in case only.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Conditions(BTreeMap<String, BTreeMap<String, ConditionValues>>);

impl Conditions {
    /// Parses the conditions of a statement. Errors name it by `path`.
    pub(super) fn parse(path: &str, value: Option<Value>) -> Result<Self> {
        let invalid = |rule: &str| Error::invalid(format!("{path}.Condition"), rule);
        let mut conditions = Self::default();
        let operators = match value {
            None => return Ok(conditions),
            Some(Value::Object(operators)) => operators,
            Some(_) => return Err(invalid("must be a JSON object")),
        };
        for (operator, keys) in operators {
            let Value::Object(keys) = keys else {
                return Err(invalid("must hold operators with keys and values"));
            };
            for (key, values) in keys {
                let values = parse_values(values)
                    .ok_or_else(|| invalid("must hold texts, numbers, booleans or lists of them"))?;
                if conditions.get(&operator, &key).is_some() {
                    return Err(invalid("must not name a key twice, whatever its case"));
                }
                conditions.insert(operator.clone(), key, values);
            }
        }
        Ok(conditions)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the conditions of both.
    ///
    /// # Errors
    /// `Invalid` when both have values for one operator and key that differ. A JSON object cannot hold both, and which
    /// values satisfy both depends on the operator.
    pub(super) fn merge(&self, other: &Self) -> Result<Self> {
        let mut merged = self.clone();
        for (operator, key, values) in other.iter() {
            match merged.get(operator, key) {
                Some(there) if there == values => {}
                Some(_) => return Err(conflict_error()),
                None => merged.insert(operator.to_owned(), key.to_owned(), values.clone()),
            }
        }
        Ok(merged)
    }

    /// Returns whether each of these conditions is also in `others`, and so holds whenever those do.
    ///
    /// Compares texts only: `false` where a condition follows from another one.
    pub(super) fn is_subset_of(&self, others: &Self) -> bool {
        self.iter().all(|(operator, key, values)| others.get(operator, key) == Some(values))
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str, &ConditionValues)> {
        self.0.iter().flat_map(|(operator, keys)| {
            keys.iter().map(move |(key, values)| (operator.as_str(), key.as_str(), values))
        })
    }

    fn get(&self, operator: &str, key: &str) -> Option<&ConditionValues> {
        let (_, keys) = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(operator))?;
        keys.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, values)| values)
    }

    /// Adds a condition that is not present yet, under the spelling of the operator that is already in use.
    fn insert(&mut self, operator: String, key: String, values: ConditionValues) {
        let existing = self.0.keys().find(|known| known.eq_ignore_ascii_case(&operator)).cloned();
        self.0.entry(existing.unwrap_or(operator)).or_default().insert(key, values);
    }
}

impl Serialize for Conditions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shortest = |values: &ConditionValues| match values.first() {
            Some(only) if values.len() == 1 => Value::from(only.as_str()),
            _ => values.iter().map(String::as_str).collect(),
        };
        let keys = |keys: &BTreeMap<String, ConditionValues>| -> BTreeMap<String, Value> {
            keys.iter().map(|(key, values)| (key.clone(), shortest(values))).collect()
        };
        serializer.collect_map(self.0.iter().map(|(operator, of_operator)| (operator, keys(of_operator))))
    }
}

/// Returns the values of a condition as the strings that AWS compares.
fn parse_values(value: Value) -> Option<ConditionValues> {
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    let texts: Option<ConditionValues> = list.into_iter().map(parse_scalar).collect();
    texts.filter(|texts| !texts.is_empty())
}

/// AWS compares booleans and numbers as text; `null`, lists and objects are not values.
fn parse_scalar(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn conflict_error() -> Error {
    Error::invalid("Condition", "is set for one operator and key to different values in the two policies")
        .with_next_step("use the same values in both, or another operator in one of them")
}
