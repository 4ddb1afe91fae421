//! `Statement`: what is allowed or denied, on which resources, under which conditions.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::conditions::Conditions;
use super::glob::{Glob, Globs};
use crate::{Error, Result};

/// Of statements that match a request, one that denies prevails.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// The actions or resources that a statement applies to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PatternSet {
    /// `Action` or `Resource`: what one of the patterns matches.
    Only(Globs),
    /// `NotAction` or `NotResource`: what none of the patterns matches.
    Except(Globs),
}

/// Without its `Sid`, which has no authority. Serialized in the order of the fields, as such policies are usually
/// written.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    pub(super) effect: Effect,
    #[serde(flatten, serialize_with = "actions")]
    pub(super) actions: PatternSet,
    #[serde(flatten, serialize_with = "resources")]
    pub(super) resources: PatternSet,
    #[serde(rename = "Condition", skip_serializing_if = "Conditions::is_empty")]
    pub(super) conditions: Conditions,
}

impl Statement {
    /// Creates a statement without conditions.
    pub(super) fn without_conditions(effect: Effect, actions: Globs, resources: Globs) -> Self {
        let (actions, resources) = (PatternSet::Only(actions), PatternSet::Only(resources));
        Self { effect, actions, resources, conditions: Conditions::default() }
    }

    /// Parses a statement. Errors name it by `path`, such as `Statement[0]`.
    pub(super) fn parse(path: &str, value: Value) -> Result<Self> {
        let Value::Object(mut fields) = value else {
            return Err(Error::invalid(path.to_owned(), "must be a JSON object"));
        };
        fields.remove("Sid");
        if fields.contains_key("Principal") || fields.contains_key("NotPrincipal") {
            return Err(Error::invalid(path.to_owned(), "must not name a principal")
                .with_next_step("leave it out: a session policy is about the session itself"));
        }
        let effect = parse_effect(path, fields.remove("Effect"))?;
        let actions = parse_patterns(path, "Action", &mut fields, Glob::parse_action)?;
        let resources = parse_patterns(path, "Resource", &mut fields, Glob::parse_resource)?;
        let conditions = Conditions::parse(path, fields.remove("Condition"))?;
        if !fields.is_empty() {
            return Err(Error::invalid(path.to_owned(), "holds a key that no statement has").with_next_step(
                "use `Sid`, `Effect`, `Action`, `NotAction`, `Resource`, `NotResource` and `Condition`",
            ));
        }
        Ok(Self { effect, actions, resources, conditions })
    }

    pub(super) fn is_allow(&self) -> bool {
        self.effect == Effect::Allow
    }

    /// Returns the statement without patterns that others cover.
    pub(super) fn minimized(self) -> Self {
        Self { actions: self.actions.minimized(), resources: self.resources.minimized(), ..self }
    }

    /// Returns whether `other` is redundant beside this statement.
    ///
    /// It is if both have the same effect and this one applies whenever `other` does. May be `false` where that cannot
    /// be shown by comparing patterns.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self == other
            || (self.effect == other.effect
                && self.conditions.is_subset_of(&other.conditions)
                && self.actions.covers(&other.actions)
                && self.resources.covers(&other.resources))
    }
}

impl PatternSet {
    fn minimized(self) -> Self {
        match self {
            Self::Only(globs) => Self::Only(globs.minimized()),
            Self::Except(globs) => Self::Except(globs.minimized()),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Only(broad), Self::Only(narrow)) => broad.covers_all(narrow),
            _ => self == other,
        }
    }
}

fn parse_effect(place: &str, value: Option<Value>) -> Result<Effect> {
    match value.as_ref().and_then(Value::as_str) {
        Some("Allow") => Ok(Effect::Allow),
        Some("Deny") => Ok(Effect::Deny),
        _ => Err(Error::invalid(format!("{place}.Effect"), "must be `Allow` or `Deny`")),
    }
}

/// Parses an element that a statement has in one of two forms, such as `Action` and `NotAction`.
fn parse_patterns(
    place: &str,
    name: &str,
    fields: &mut Map<String, Value>,
    parse: fn(&str) -> Result<Glob, &'static str>,
) -> Result<PatternSet> {
    let (only, except) = (fields.remove(name), fields.remove(&format!("Not{name}")));
    let (value, variant): (_, fn(Globs) -> PatternSet) = match (only, except) {
        (Some(value), None) => (value, PatternSet::Only),
        (None, Some(value)) => (value, PatternSet::Except),
        _ => {
            return Err(Error::invalid(
                place.to_owned(),
                format!("needs `{name}` or `Not{name}`, and not both"),
            ));
        }
    };
    let invalid = |rule| Error::invalid(format!("{place}.{name}"), rule);
    let texts = string_list(&value).ok_or_else(|| invalid("must be a text or a list of texts"))?;
    let globs: Result<Vec<_>, _> = texts.into_iter().map(parse).collect();
    Ok(variant(Globs::new(globs.map_err(invalid)?)))
}

/// Returns the strings of a string or of a list of strings.
fn string_list(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) if !list.is_empty() => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn actions<S: Serializer>(subject: &PatternSet, serializer: S) -> Result<S::Ok, S::Error> {
    serialize_patterns("Action", "NotAction", subject, serializer)
}

fn resources<S: Serializer>(subject: &PatternSet, serializer: S) -> Result<S::Ok, S::Error> {
    serialize_patterns("Resource", "NotResource", subject, serializer)
}

fn serialize_patterns<S: Serializer>(
    these: &'static str,
    all_but: &'static str,
    subject: &PatternSet,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match subject {
        PatternSet::Only(globs) => serializer.collect_map([(these, globs)]),
        PatternSet::Except(globs) => serializer.collect_map([(all_but, globs)]),
    }
}
