//! Session policies: what a session may still do of what its role may. What can not be evaluated is refused.

use serde::Deserialize;

use super::answer::{Fault, Refusal};

const LONGEST: usize = 2048;

/// A session policy. It can only take away: where nothing is allowed, nothing is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Policy {
    #[serde(rename = "Version")]
    _version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMore<Statement>,
}

/// Conditions and `Not…` are not evaluated here, so a policy with one is refused rather than ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    action: OneOrMore<String>,
    resource: OneOrMore<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

impl Policy {
    pub(super) fn parse(document: &str) -> Result<Self, Refusal> {
        if document.chars().count() > LONGEST {
            let message =
                format!("1 validation error detected: 'policy' must have length of at most {LONGEST}");
            return Err(Refusal::new(Fault::Invalid, message));
        }
        serde_json::from_str(document).map_err(|_| {
            Refusal::new(
                Fault::BadPolicy,
                "The policy is not valid, or uses more than Effect, Action and Resource, which this cloud can not judge.",
            )
        })
    }

    /// Allowed by one statement and denied by none.
    pub(super) fn allows(&self, action: &str, resource: &str) -> bool {
        let hits = |effect: Effect| {
            self.statement.as_slice().iter().any(|it| it.effect == effect && it.speaks_of(action, resource))
        };
        hits(Effect::Allow) && !hits(Effect::Deny)
    }
}

impl Statement {
    fn speaks_of(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        self.action
            .as_slice()
            .iter()
            .any(|pattern| matches(pattern.to_ascii_lowercase().as_bytes(), action.as_bytes()))
            && self.resource.as_slice().iter().any(|pattern| matches(pattern.as_bytes(), resource.as_bytes()))
    }
}

/// `*` stands for any text, `?` for one character; linear but for the last `*`, which is all there is to go back to.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || text.get(t) == Some(&c) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_allows_what_one_statement_allows_and_none_denies() -> Result<(), Refusal> {
        let policy = Policy::parse(
            r#"{"Version":"2012-10-17","Statement":[
                {"Effect":"Allow","Action":["secretsmanager:Get*"],"Resource":"*:secret:a/*"},
                {"Effect":"Deny","Action":"*","Resource":"*:secret:a/no-??????"}]}"#,
        )?;
        assert!(policy.allows("secretsmanager:getSecretValue", "arn:1:secret:a/b-abcdef"));
        assert!(!policy.allows("secretsmanager:GetSecretValue", "arn:1:secret:a/no-abcdef"));
        assert!(!policy.allows("secretsmanager:DescribeSecret", "arn:1:secret:a/b-abcdef"));
        assert!(!policy.allows("sts:AssumeRole", "arn:1:secret:a/b-abcdef"));
        Ok(())
    }

    #[test]
    fn a_policy_that_can_not_be_judged_is_refused() {
        let condition = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}}"#;
        for document in
            ["", "{}", "[]", condition, r#"{"Statement":{"Effect":"Allow","NotAction":"*","Resource":"*"}}"#]
        {
            assert!(
                Policy::parse(document).is_err_and(|refusal| refusal.fault == Fault::BadPolicy),
                "{document}"
            );
        }
    }

    #[test]
    fn stars_match_any_text_and_question_marks_one_character() {
        for (pattern, text) in [("*", ""), ("a*c", "abbc"), ("a*c", "ac"), ("*a*b", "xaxbxb"), ("a?c", "abc")]
        {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("a*c", "abcd"), ("a?c", "ac"), ("*ab", "aba")] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
