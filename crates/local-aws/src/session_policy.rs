//! `SessionPolicyDocument`: limits a role session to a part of the role's permissions. A policy that cannot be
//! evaluated is refused.

use serde::Deserialize;

use super::response::{AwsError, ErrorCode};

const MAX_POLICY_CHARS: usize = 2048;

/// A session policy. Actions that it does not name are denied.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SessionPolicyDocument {
    #[serde(rename = "Version")]
    _version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMore<PolicyStatement>,
}

/// Unknown fields are errors: conditions and `Not…` elements are not evaluated, and ignoring them would allow too much.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PolicyStatement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: StatementEffect,
    action: OneOrMore<String>,
    resource: OneOrMore<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
enum StatementEffect {
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

impl SessionPolicyDocument {
    pub(super) fn parse(document: &str) -> Result<Self, AwsError> {
        if document.chars().count() > MAX_POLICY_CHARS {
            let message = format!(
                "1 validation error detected: 'policy' must have length of at most {MAX_POLICY_CHARS}"
            );
            return Err(AwsError::new(ErrorCode::Invalid, message));
        }
        serde_json::from_str(document).map_err(|_| {
            AwsError::new(
                ErrorCode::MalformedPolicy,
                "The policy is not valid, or uses more than Effect, Action and Resource, which the local AWS does not evaluate.",
            )
        })
    }

    /// Whether a statement allows the action and none denies it.
    pub(super) fn allows(&self, action: &str, resource: &str) -> bool {
        let applies = |effect: StatementEffect| {
            self.statement.as_slice().iter().any(|it| it.effect == effect && it.applies_to(action, resource))
        };
        applies(StatementEffect::Allow) && !applies(StatementEffect::Deny)
    }
}

impl PolicyStatement {
    fn applies_to(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        self.action
            .as_slice()
            .iter()
            .any(|pattern| matches_wildcard(pattern.to_ascii_lowercase().as_bytes(), action.as_bytes()))
            && self
                .resource
                .as_slice()
                .iter()
                .any(|pattern| matches_wildcard(pattern.as_bytes(), resource.as_bytes()))
    }
}

/// Matches a pattern in which `*` matches any text and `?` one character. Backtracks only to the last `*`.
fn matches_wildcard(pattern: &[u8], text: &[u8]) -> bool {
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
    fn allows_with_allow_and_deny_prefers_deny() -> Result<(), AwsError> {
        let policy = SessionPolicyDocument::parse(
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
    fn parse_policy_with_unknown_elements_fails() {
        let condition = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}}"#;
        for document in
            ["", "{}", "[]", condition, r#"{"Statement":{"Effect":"Allow","NotAction":"*","Resource":"*"}}"#]
        {
            assert!(
                SessionPolicyDocument::parse(document)
                    .is_err_and(|error| error.code == ErrorCode::MalformedPolicy),
                "{document}"
            );
        }
    }

    #[test]
    fn matches_wildcard_supports_star_and_question_mark() {
        for (pattern, text) in [("*", ""), ("a*c", "abbc"), ("a*c", "ac"), ("*a*b", "xaxbxb"), ("a?c", "abc")]
        {
            assert!(matches_wildcard(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("a*c", "abcd"), ("a?c", "ac"), ("*ab", "aba")] {
            assert!(!matches_wildcard(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
