//! `Glob`: a pattern of action or resource names, and whether one pattern covers another.
//!
//! `*` matches any text and `?` any character. In a resource, a `*` that does not end a part between colons is not
//! assumed to match a colon, nor is a `?` (IAM user guide, *Resource*: wildcards in ARNs), and `${…}` is a variable
//! whose value is unknown here. So "covers" may be false where AWS would match, but is never true where AWS would not.

use serde::{Serialize, Serializer};

use crate::Result;

/// One pattern. Two patterns are equal if their texts are.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    text: Box<str>,
    tokens: Box<[Token]>,
}

/// A unit of a pattern. A run of `*` is one token.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Literal(char),
    /// `?`
    AnyChar,
    /// `*`, and whether it may match beyond a colon.
    AnyText {
        crosses_colons: bool,
    },
    Variable(Box<str>),
}

impl Glob {
    /// Parses a pattern of actions. Case does not count.
    pub(super) fn parse_action(text: &str) -> Result<Self, &'static str> {
        let is_pattern = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-*?".contains(&b))
        };
        let is_action =
            text.split_once(':').is_some_and(|(service, name)| is_pattern(service) && is_pattern(name));
        if is_action || text == "*" {
            // Every action has exactly one colon, so a wildcard cannot match beyond it.
            Ok(Self { text: text.into(), tokens: tokenize(&text.to_ascii_lowercase(), |_| true) })
        } else {
            Err("must be actions such as `s3:GetObject`, `s3:Get*` or `*`")
        }
    }

    /// Parses a pattern of ARNs.
    pub(super) fn parse_resource(text: &str) -> Result<Self, &'static str> {
        if text == "*" || (text.starts_with("arn:") && text.split(':').count() >= 6) {
            Ok(Self {
                text: text.into(),
                tokens: tokenize(text, |rest| rest.is_empty() || rest.starts_with(':')),
            })
        } else {
            Err("must be ARNs such as `arn:aws:s3:::bucket/*`, or `*`")
        }
    }

    /// Returns whether this pattern matches everything that `other` matches.
    ///
    /// Runs in time proportional to the product of the lengths, and without backtracking, since policies come from
    /// models.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // `reached[n]`: the tokens processed so far cover the first `n` tokens of the other pattern.
        let mut reached = vec![false; other.tokens.len() + 1];
        reached[0] = true;
        for token in &*self.tokens {
            let many = matches!(token, Token::AnyText { .. });
            let mut next = vec![reached[0] && many];
            for (n, theirs) in other.tokens.iter().enumerate() {
                let from = if many { next[n] } else { reached[n] };
                next.push((many && reached[n + 1]) || (from && token.covers_token(theirs)));
            }
            reached = next;
        }
        reached.last().copied().unwrap_or_default()
    }
}

impl Token {
    /// Returns whether everything that `other` matches can be part of what this token matches.
    fn covers_token(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AnyText { crosses_colons: true }, _) => true,
            (Self::AnyText { .. } | Self::AnyChar, Self::Literal(letter)) => *letter != ':',
            _ => self == other,
        }
    }
}

/// Splits a pattern into tokens. `beyond` decides from the text after a `*` whether the `*` may match a colon.
fn tokenize(text: &str, may_cross: fn(&str) -> bool) -> Box<[Token]> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(letter) = rest.chars().next() {
        let (token, length) = match (letter, parse_variable(rest)) {
            (_, Some((token, length))) => (token, length),
            ('*', _) => {
                let run = rest.len() - rest.trim_start_matches('*').len();
                (Token::AnyText { crosses_colons: may_cross(&rest[run..]) }, run)
            }
            ('?', _) => (Token::AnyChar, 1),
            _ => (Token::Literal(letter), letter.len_utf8()),
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    tokens.into()
}

/// Returns the variable that `text` begins with, and its length: `${*}`, `${?}` and `${$}` are the characters
/// themselves.
fn parse_variable(text: &str) -> Option<(Token, usize)> {
    let (name, _) = text.strip_prefix("${")?.split_once('}')?;
    let token = match name {
        "*" => Token::Literal('*'),
        "?" => Token::Literal('?'),
        "$" => Token::Literal('$'),
        _ => Token::Variable(name.into()),
    };
    Some((token, name.len() + 3))
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Patterns of which at least one must match.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Globs(Vec<Glob>);

impl Globs {
    pub(super) fn new(globs: Vec<Glob>) -> Self {
        Self(globs)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sorts the patterns, and removes those that others cover.
    ///
    /// Of two patterns that cover each other, the first in order is kept. The result does not depend on the order in
    /// which a policy lists the patterns.
    pub(super) fn minimized(mut self) -> Self {
        self.0.sort_by(|one, other| one.text.cmp(&other.text));
        self.0.dedup();
        let mut kept: Vec<Glob> = Vec::new();
        for glob in self.0 {
            if !kept.iter().any(|other| other.covers(&glob)) {
                kept.retain(|other| !glob.covers(other));
                kept.push(glob);
            }
        }
        Self(kept)
    }

    /// Returns whether each of `others` is covered by one of these patterns.
    pub(super) fn covers_all(&self, others: &Self) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|glob| glob.covers(other)))
    }

    /// Returns what is provably covered by both: of each pair of patterns, the one that the other covers.
    ///
    /// May be narrower than the true intersection, never wider: of `s3:Get*` and `s3:*Object`, it keeps neither.
    pub(super) fn intersect(&self, others: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|one| others.0.iter().map(move |other| (one, other)));
        let narrower = pairs.filter_map(|(one, other)| match () {
            () if one.covers(other) => Some(other),
            () if other.covers(one) => Some(one),
            () => None,
        });
        Self(narrower.cloned().collect()).minimized()
    }
}

/// Serialized as a single string, or as a list.
impl Serialize for Globs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => serializer.serialize_str(&only.text),
            globs => serializer.collect_seq(globs.iter().map(|glob| &glob.text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action_covers(one: &str, other: &str) -> bool {
        Glob::parse_action(one).unwrap().covers(&Glob::parse_action(other).unwrap())
    }

    fn resource_covers(one: &str, other: &str) -> bool {
        Glob::parse_resource(one).unwrap().covers(&Glob::parse_resource(other).unwrap())
    }

    #[test]
    fn glob_action_covers_ignoring_case() {
        for (one, other) in [
            ("*", "s3:GetObject"),
            ("s3:*", "s3:Get*"),
            ("s3:GET*", "s3:getobject"),
            ("s3:G?tObject", "s3:GetObject"),
            ("s3:*t*", "s3:Get?bject*"),
            ("*:*", "s3:*"),
        ] {
            assert!(action_covers(one, other) && !action_covers(other, one), "{one} {other}");
        }
        assert!(action_covers("s3:Get**", "s3:Get*") && action_covers("s3:Get*", "s3:Get**"));
        for (one, other) in [
            ("s3:Get*", "s3:*Object"),
            ("s3:Get*", "s3:Ge"),
            ("s3:Get?", "s3:Get*"),
            ("s3:?", "s3:??"),
            ("s3:*", "s3-outposts:*"),
            ("s3:*", "*"),
            ("*:*", "*"),
        ] {
            assert!(!action_covers(one, other), "{one} {other}");
        }
    }

    #[test]
    fn glob_malformed_action_or_resource_is_refused() {
        for action in ["", "s3", "s3:", ":GetObject", "s3:Get Object", "s3:Get:Object"] {
            assert!(Glob::parse_action(action).is_err(), "{action:?}");
        }
        for resource in ["", "arn:aws:s3", "bucket", "a:b:c:d:e:f"] {
            assert!(Glob::parse_resource(resource).is_err(), "{resource:?}");
        }
    }

    #[test]
    fn glob_wildcard_crosses_colon_only_at_end_of_part() {
        assert!(resource_covers(
            "arn:aws:logs:*:1:log-group:*",
            "arn:aws:logs:eu-west-1:1:log-group:a:log-stream:b"
        ));
        assert!(!resource_covers("arn:aws:logs:r:1:log-group:a*b", "arn:aws:logs:r:1:log-group:a:b"));
        assert!(!resource_covers("arn:aws:logs:r:1:log-group:a*b", "arn:aws:logs:r:1:log-group:a?b"));
        assert!(!resource_covers("arn:aws:logs:r:1:log-group:a?b", "arn:aws:logs:r:1:log-group:a:b"));
        assert!(!resource_covers("arn:aws:s3:::a*b", "arn:aws:s3:::a*"));
        assert!(resource_covers("arn:aws:s3:::a*b", "arn:aws:s3:::a*cb"));
        assert!(resource_covers("arn:aws:s3:::*", "arn:aws:s3:::a?b*c"));
    }

    #[test]
    fn glob_variable_is_covered_by_itself_or_wildcard() {
        let own = "arn:aws:s3:::b/${aws:username}/*";
        assert!(resource_covers(own, own));
        assert!(resource_covers(own, "arn:aws:s3:::b/${aws:username}/x"));
        assert!(resource_covers("arn:aws:s3:::b/*", own));
        for other in ["arn:aws:s3:::b/alice/*", "arn:aws:s3:::b/${aws:userid}/*", "arn:aws:s3:::b/*/*"] {
            assert!(!resource_covers(own, other) && !resource_covers(other, own), "{other}");
        }
        for escaped in ["arn:aws:s3:::b/a${*}c", "arn:aws:s3:::b/a${?}c", "arn:aws:s3:::b/a${$}c"] {
            assert!(resource_covers("arn:aws:s3:::b/a?c", escaped), "{escaped} is one character");
        }
        assert!(!resource_covers("arn:aws:s3:::b/a${*}c", "arn:aws:s3:::b/abc"));
    }

    #[test]
    fn globs_minimized_drops_covered_patterns() {
        let globs = ["s3:Get*", "ec2:*", "s3:GetObject", "s3:get*", "ec2:Describe*"];
        let globs = Globs::new(globs.map(|text| Glob::parse_action(text).unwrap()).into()).minimized();
        assert_eq!(serde_json::to_string(&globs).unwrap(), r#"["ec2:*","s3:Get*"]"#);
    }
}
