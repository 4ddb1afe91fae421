//! Random policies over a small alphabet, and every request there is in it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use valetkey_core::SessionPolicy;

use super::evaluator::{ColonMatching, EvaluatedRequest, Evaluator};

/// All texts of up to `longest` of the letters.
fn all_texts(letters: &str, max_len: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..max_len {
        last = last
            .iter()
            .flat_map(|text| letters.chars().map(move |letter| format!("{text}{letter}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

fn for_each_request(mut check: impl FnMut(&EvaluatedRequest<'_>)) {
    let actions: Vec<_> = all_texts("ab", 3).into_iter().skip(1).map(|name| format!("s:{name}")).collect();
    let resources: Vec<_> = all_texts("ab:", 3).into_iter().map(|name| format!("arn:p:s:::{name}")).collect();
    for action in &actions {
        for resource in &resources {
            for tag in [None, Some("x"), Some("y")] {
                let context: BTreeMap<_, _> = tag.map(|tag| ("k", tag)).into_iter().collect();
                check(&EvaluatedRequest { action, resource, context });
            }
        }
    }
}

fn pattern_list(pattern: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(pattern, 1..4)
}

fn action_pattern() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just("*".to_owned()), 6 => "[ab*?]{1,4}".prop_map(|name| format!("s:{name}"))]
}

fn resource_pattern() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just("*".to_owned()), 6 => "[ab:*?]{0,4}".prop_map(|name| format!("arn:p:s:::{name}"))]
}

/// A pattern that begins with fixed letters, and has at most a star behind them.
fn simple_pattern(prefix: &'static str) -> impl Strategy<Value = String> {
    ("[ab]{1,3}", prop::bool::ANY)
        .prop_map(move |(name, open)| format!("{prefix}{name}{}", if open { "*" } else { "" }))
}

fn condition() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => Just(json!({})),
        2 => prop_oneof![Just("x"), Just("y")].prop_map(|value| json!({"StringEquals": {"k": value}})),
        1 => Just(json!({"StringNotEquals": {"K": ["x", "y"]}})),
    ]
}

fn statement() -> impl Strategy<Value = Value> {
    let (not_action, not_resource) = (prop::bool::weighted(0.3), prop::bool::weighted(0.3));
    let parts = (
        prop::bool::weighted(0.7),
        pattern_list(action_pattern()),
        pattern_list(resource_pattern()),
        condition(),
        not_action,
        not_resource,
    );
    parts.prop_map(|(allow, actions, resources, condition, not_action, not_resource)| {
        // Only denials may be about all but something: allowances of that kind are refused, which is tested elsewhere.
        let name = |name: &str, not: bool| if not && !allow { format!("Not{name}") } else { name.to_owned() };
        json!({
            "Effect": if allow { "Allow" } else { "Deny" }, "Condition": condition,
            name("Action", not_action): actions, name("Resource", not_resource): resources,
        })
    })
}

/// A policy, as text, that allows something.
fn policy_text(statement: impl Strategy<Value = Value>) -> impl Strategy<Value = String> {
    let allows = |statements: &Vec<Value>| statements.iter().any(|statement| statement["Effect"] == "Allow");
    let statements = prop::collection::vec(statement, 1..4).prop_filter("allows nothing", allows);
    statements.prop_map(|statements| json!({"Version": "2012-10-17", "Statement": statements}).to_string())
}

fn parsed_policy(statement: impl Strategy<Value = Value>) -> impl Strategy<Value = SessionPolicy> {
    policy_text(statement).prop_map(|text| text.parse().unwrap())
}

fn simple_policy() -> impl Strategy<Value = SessionPolicy> {
    let statement = (pattern_list(simple_pattern("s:")), pattern_list(simple_pattern("arn:p:s:::")))
        .prop_map(
            |(actions, resources)| json!({"Effect": "Allow", "Action": actions, "Resource": resources}),
        );
    parsed_policy(statement)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn intersect_allows_only_what_each_allows(a in parsed_policy(statement()), b in parsed_policy(statement())) {
        let Ok(both) = a.intersect(&b) else { return Ok(()) };
        let [a, b, both] = [&a, &b, &both].map(Evaluator::from_policy);
        for_each_request(|request| {
            for colons in [ColonMatching::Crossed, ColonMatching::NotCrossed] {
                let sound = !both.allows(request, colons) || a.allows(request, colons) && b.allows(request, colons);
                assert!(sound, "{request:?} {colons:?}\n{a:?}\n{b:?}\n{both:?}");
            }
        });
    }

    #[test]
    fn intersect_simple_policies_allows_everything_common(a in simple_policy(), b in simple_policy()) {
        let both = a.intersect(&b).ok().as_ref().map(Evaluator::from_policy);
        let [a, b] = [&a, &b].map(Evaluator::from_policy);
        for_each_request(|request| {
            let expected = a.allows(request, ColonMatching::NotCrossed) && b.allows(request, ColonMatching::NotCrossed);
            let allowed = both.as_ref().is_some_and(|both| both.allows(request, ColonMatching::NotCrossed));
            assert_eq!(allowed, expected, "{request:?}\n{a:?}\n{b:?}\n{both:?}");
        });
    }

    #[test]
    fn intersect_with_itself_is_identity(a in simple_policy()) {
        let itself = a.intersect(&a).unwrap();
        assert_eq!(itself.intersect(&a).unwrap(), itself, "nothing changes from then on");
        let [a, itself] = [&a, &itself].map(Evaluator::from_policy);
        for_each_request(|request| {
            assert_eq!(itself.allows(request, ColonMatching::NotCrossed), a.allows(request, ColonMatching::NotCrossed), "{request:?}\n{a:?}\n{itself:?}");
        });
    }

    #[test]
    fn session_policy_minimized_form_is_equivalent(text in policy_text(statement())) {
        let policy: SessionPolicy = text.parse().unwrap();
        assert_eq!(policy.to_string().parse::<SessionPolicy>().unwrap(), policy);
        let (before, after) = (Evaluator::from_text(&text), Evaluator::from_policy(&policy));
        for_each_request(|request| {
            for colons in [ColonMatching::Crossed, ColonMatching::NotCrossed] {
                assert_eq!(after.allows(request, colons), before.allows(request, colons), "{request:?}\n{before:?}\n{after:?}");
            }
        });
    }

    #[test]
    fn session_policy_parser_never_panics(text in ".{0,200}", part in r#"[\[\]{}":,a-zA-Z*?]{0,60}"#) {
        for text in [text, format!(r#"{{"Version":"2012-10-17","Statement":{part}}}"#)] {
            if let Err(error) = text.parse::<SessionPolicy>() {
                assert!(error.field().is_some());
            }
        }
    }
}
