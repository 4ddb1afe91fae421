//! What a policy says to one request, by the rules of IAM and nothing of the code under test.

use std::collections::BTreeMap;

use serde_json::Value;
use valetkey_core::SessionPolicy;

/// Whether a wildcard in the middle of a part of an ARN matches a colon: IAM's words leave room for both.
#[derive(Debug, Clone, Copy)]
pub(super) enum ColonMatching {
    Crossed,
    NotCrossed,
}

#[derive(Debug, Clone)]
pub(super) struct EvaluatedRequest<'a> {
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
    pub(super) context: BTreeMap<&'a str, &'a str>,
}

/// A policy, taken apart once.
#[derive(Debug)]
pub(super) struct Evaluator(Value);

impl Evaluator {
    pub(super) fn from_policy(policy: &SessionPolicy) -> Self {
        Self::from_text(&policy.to_string())
    }

    pub(super) fn from_text(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    pub(super) fn allows(&self, request: &EvaluatedRequest<'_>, colons: ColonMatching) -> bool {
        let statements = self.0["Statement"].as_array().unwrap();
        let has_match = |effect: &str| {
            statements.iter().any(|statement| {
                statement["Effect"] == effect && statement_applies(statement, request, colons)
            })
        };
        has_match("Allow") && !has_match("Deny")
    }
}

fn statement_applies(statement: &Value, request: &EvaluatedRequest<'_>, colons: ColonMatching) -> bool {
    let action = |pattern: &str| {
        matches_glob(
            pattern.to_lowercase().as_bytes(),
            request.action.to_lowercase().as_bytes(),
            ColonMatching::Crossed,
        )
    };
    let resource = |pattern: &str| matches_glob(pattern.as_bytes(), request.resource.as_bytes(), colons);
    matches_patterns(statement, "Action", "NotAction", action)
        && matches_patterns(statement, "Resource", "NotResource", resource)
        && conditions_hold(&statement["Condition"], &request.context)
}

fn matches_patterns(statement: &Value, these: &str, all_but: &str, matches: impl Fn(&str) -> bool) -> bool {
    match statement.get(these) {
        Some(patterns) => string_list(patterns).into_iter().any(matches),
        None => !string_list(&statement[all_but]).into_iter().any(matches),
    }
}

fn conditions_hold(conditions: &Value, context: &BTreeMap<&str, &str>) -> bool {
    conditions.as_object().into_iter().flatten().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, values)| {
            let named = context
                .get(key.to_lowercase().as_str())
                .is_some_and(|have| string_list(values).contains(have));
            match operator.as_str() {
                "StringEquals" => named,
                "StringNotEquals" => !named,
                other => panic!("no such operator here: {other}"),
            }
        })
    })
}

fn string_list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().map(|text| text.as_str().unwrap()).collect(),
        one => vec![one.as_str().unwrap()],
    }
}

fn matches_glob(pattern: &[u8], text: &[u8], colons: ColonMatching) -> bool {
    let ends_a_part = |rest: &[u8]| {
        let rest = rest.iter().position(|byte| *byte != b'*').map_or(&[][..], |at| &rest[at..]);
        rest.first().is_none_or(|next| *next == b':')
    };
    match (pattern, text) {
        ([], _) => text.is_empty(),
        ([b'*', rest @ ..], _) => {
            let beyond = matches!(colons, ColonMatching::Crossed) || ends_a_part(rest);
            let most = text.iter().position(|byte| *byte == b':' && !beyond).unwrap_or(text.len());
            (0..=most).any(|taken| matches_glob(rest, &text[taken..], colons))
        }
        ([b'?', rest @ ..], [byte, after @ ..]) => {
            (*byte != b':' || matches!(colons, ColonMatching::Crossed)) && matches_glob(rest, after, colons)
        }
        ([letter, rest @ ..], [byte, after @ ..]) => letter == byte && matches_glob(rest, after, colons),
        (_, []) => false,
    }
}
