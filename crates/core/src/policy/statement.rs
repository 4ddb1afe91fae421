//! `Statement`: what is allowed or denied, on which resources, under which conditions.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::conditions::Conditions;
use super::glob::{Glob, Globs};
use crate::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// The actions or resources that a statement applies to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Subject {
    These(Globs),
    AllBut(Globs),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    pub(super) effect: Effect,
    #[serde(flatten, serialize_with = "actions")]
    pub(super) actions: Subject,
    #[serde(flatten, serialize_with = "resources")]
    pub(super) resources: Subject,
    #[serde(rename = "Condition", skip_serializing_if = "Conditions::is_empty")]
    pub(super) conditions: Conditions,
}

impl Statement {
    /// Creates a statement without conditions.
    pub(super) fn plain(effect: Effect, actions: Globs, resources: Globs) -> Self {
        let (actions, resources) = (Subject::These(actions), Subject::These(resources));
        Self { effect, actions, resources, conditions: Conditions::default() }
    }

    /// Parses a statement. Errors call it `place`.
    pub(super) fn parse(place: &str, value: Value) -> Result<Self> {
        let Value::Object(mut fields) = value else {
            return Err(Error::invalid(place.to_owned(), "must be a JSON object"));
        };
        fields.remove("Sid");
        if fields.contains_key("Principal") || fields.contains_key("NotPrincipal") {
            return Err(Error::invalid(place.to_owned(), "must not name a principal")
                .with_next_step("leave it out: a session policy is about the session itself"));
        }
        let effect = effect(place, fields.remove("Effect"))?;
        let actions = subject(place, "Action", &mut fields, Glob::action)?;
        let resources = subject(place, "Resource", &mut fields, Glob::resource)?;
        let conditions = Conditions::parse(place, fields.remove("Condition"))?;
        if !fields.is_empty() {
            return Err(Error::invalid(place.to_owned(), "holds a key that no statement has")
                .with_next_step(
                    "use `Sid`, `Effect`, `Action`, `NotAction`, `Resource`, `NotResource` and `Condition`",
                ));
        }
        Ok(Self { effect, actions, resources, conditions })
    }

    pub(super) fn allows(&self) -> bool {
        self.effect == Effect::Allow
    }

    /// Returns the statement without patterns that others cover.
    pub(super) fn shortened(self) -> Self {
        Self { actions: self.actions.shortened(), resources: self.resources.shortened(), ..self }
    }

    /// Returns whether `other` is redundant beside this statement.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self == other
            || (self.effect == other.effect
                && self.conditions.within(&other.conditions)
                && self.actions.covers(&other.actions)
                && self.resources.covers(&other.resources))
    }
}

impl Subject {
    fn shortened(self) -> Self {
        match self {
            Self::These(globs) => Self::These(globs.shortened()),
            Self::AllBut(globs) => Self::AllBut(globs.shortened()),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::These(all), Self::These(some)) => all.cover(some),
            _ => self == other,
        }
    }
}

fn effect(place: &str, value: Option<Value>) -> Result<Effect> {
    match value.as_ref().and_then(Value::as_str) {
        Some("Allow") => Ok(Effect::Allow),
        Some("Deny") => Ok(Effect::Deny),
        _ => Err(Error::invalid(format!("{place}.Effect"), "must be `Allow` or `Deny`")),
    }
}

fn subject(
    place: &str,
    name: &str,
    fields: &mut Map<String, Value>,
    parse: fn(&str) -> Result<Glob, &'static str>,
) -> Result<Subject> {
    let (these, all_but) = (fields.remove(name), fields.remove(&format!("Not{name}")));
    let (value, subject): (_, fn(Globs) -> Subject) = match (these, all_but) {
        (Some(value), None) => (value, Subject::These),
        (None, Some(value)) => (value, Subject::AllBut),
        _ => {
            return Err(Error::invalid(
                place.to_owned(),
                format!("needs `{name}` or `Not{name}`, and not both"),
            ));
        }
    };
    let fault = |rule| Error::invalid(format!("{place}.{name}"), rule);
    let texts = texts(&value).ok_or_else(|| fault("must be a text or a list of texts"))?;
    let globs: Result<Vec<_>, _> = texts.into_iter().map(parse).collect();
    Ok(subject(Globs::new(globs.map_err(fault)?)))
}

/// Returns the strings of a string or of a list of strings.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) if !list.is_empty() => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn actions<S: Serializer>(subject: &Subject, serializer: S) -> Result<S::Ok, S::Error> {
    named("Action", "NotAction", subject, serializer)
}

fn resources<S: Serializer>(subject: &Subject, serializer: S) -> Result<S::Ok, S::Error> {
    named("Resource", "NotResource", subject, serializer)
}

fn named<S: Serializer>(
    these: &'static str,
    all_but: &'static str,
    subject: &Subject,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match subject {
        Subject::These(globs) => serializer.collect_map([(these, globs)]),
        Subject::AllBut(globs) => serializer.collect_map([(all_but, globs)]),
    }
}
