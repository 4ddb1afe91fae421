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

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Letter(char),
    /// `?`
    One,
    /// `*`, and whether it may match beyond a colon.
    Any {
        beyond: bool,
    },
    Variable(Box<str>),
}

impl Glob {
    /// Parses a pattern of actions. Case does not count.
    pub(super) fn action(text: &str) -> Result<Self, &'static str> {
        let word = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-*?".contains(&b))
        };
        let named = text.split_once(':').is_some_and(|(service, name)| word(service) && word(name));
        if named || text == "*" {
            // Every action has exactly one colon, so a wildcard cannot match beyond it.
            Ok(Self { text: text.into(), tokens: tokens(&text.to_ascii_lowercase(), |_| true) })
        } else {
            Err("must be actions such as `s3:GetObject`, `s3:Get*` or `*`")
        }
    }

    /// Parses a pattern of ARNs.
    pub(super) fn resource(text: &str) -> Result<Self, &'static str> {
        if text == "*" || (text.starts_with("arn:") && text.split(':').count() >= 6) {
            Ok(Self {
                text: text.into(),
                tokens: tokens(text, |rest| rest.is_empty() || rest.starts_with(':')),
            })
        } else {
            Err("must be ARNs such as `arn:aws:s3:::bucket/*`, or `*`")
        }
    }

    /// Returns whether this pattern matches everything that `other` matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // `reached[n]`: the tokens processed so far cover the first `n` tokens of the other pattern.
        let mut reached = vec![false; other.tokens.len() + 1];
        reached[0] = true;
        for token in &*self.tokens {
            let many = matches!(token, Token::Any { .. });
            let mut next = vec![reached[0] && many];
            for (n, theirs) in other.tokens.iter().enumerate() {
                let from = if many { next[n] } else { reached[n] };
                next.push((many && reached[n + 1]) || (from && token.takes(theirs)));
            }
            reached = next;
        }
        reached.last().copied().unwrap_or_default()
    }
}

impl Token {
    /// Returns whether everything that `other` matches can be part of what this token matches.
    fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any { beyond: true }, _) => true,
            (Self::Any { .. } | Self::One, Self::Letter(letter)) => *letter != ':',
            _ => self == other,
        }
    }
}

/// Splits a pattern into tokens. `beyond` decides from the text after a `*` whether the `*` may match a colon.
fn tokens(text: &str, beyond: fn(&str) -> bool) -> Box<[Token]> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(letter) = rest.chars().next() {
        let (token, length) = match (letter, variable(rest)) {
            (_, Some((token, length))) => (token, length),
            ('*', _) => {
                let run = rest.len() - rest.trim_start_matches('*').len();
                (Token::Any { beyond: beyond(&rest[run..]) }, run)
            }
            ('?', _) => (Token::One, 1),
            _ => (Token::Letter(letter), letter.len_utf8()),
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    tokens.into()
}

/// Returns the variable that `text` begins with, and its length: `${*}`, `${?}` and `${$}` are the characters
/// themselves.
fn variable(text: &str) -> Option<(Token, usize)> {
    let (name, _) = text.strip_prefix("${")?.split_once('}')?;
    let token = match name {
        "*" => Token::Letter('*'),
        "?" => Token::Letter('?'),
        "$" => Token::Letter('$'),
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
    pub(super) fn shortened(mut self) -> Self {
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
    pub(super) fn cover(&self, others: &Self) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|glob| glob.covers(other)))
    }

    /// Returns what is provably covered by both: of each pair of patterns, the one that the other covers.
    pub(super) fn in_common(&self, others: &Self) -> Self {
        let pairs = self.0.iter().flat_map(|one| others.0.iter().map(move |other| (one, other)));
        let narrower = pairs.filter_map(|(one, other)| match () {
            () if one.covers(other) => Some(other),
            () if other.covers(one) => Some(one),
            () => None,
        });
        Self(narrower.cloned().collect()).shortened()
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

    fn actions(one: &str, other: &str) -> bool {
        Glob::action(one).unwrap().covers(&Glob::action(other).unwrap())
    }

    fn resources(one: &str, other: &str) -> bool {
        Glob::resource(one).unwrap().covers(&Glob::resource(other).unwrap())
    }

    #[test]
    fn a_pattern_of_actions_covers_what_it_matches_whatever_the_case() {
        for (one, other) in [
            ("*", "s3:GetObject"),
            ("s3:*", "s3:Get*"),
            ("s3:GET*", "s3:getobject"),
            ("s3:G?tObject", "s3:GetObject"),
            ("s3:*t*", "s3:Get?bject*"),
            ("*:*", "s3:*"),
            ("s3:Get**", "s3:Get*"),
        ] {
            assert!(
                actions(one, other) && !actions(other, one) || one.len() == other.len() + 1,
                "{one} {other}"
            );
        }
        for (one, other) in [
            ("s3:Get*", "s3:*Object"),
            ("s3:Get*", "s3:Ge"),
            ("s3:Get?", "s3:Get*"),
            ("s3:?", "s3:??"),
            ("s3:*", "s3-outposts:*"),
            ("s3:*", "*"),
            ("*:*", "*"),
        ] {
            assert!(!actions(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_wildcard_is_relied_on_to_match_a_colon_only_at_the_end_of_a_part() {
        assert!(resources(
            "arn:aws:logs:*:1:log-group:*",
            "arn:aws:logs:eu-west-1:1:log-group:a:log-stream:b"
        ));
        assert!(!resources("arn:aws:logs:r:1:log-group:a*b", "arn:aws:logs:r:1:log-group:a:b"));
        assert!(!resources("arn:aws:logs:r:1:log-group:a*b", "arn:aws:logs:r:1:log-group:a?b"));
        assert!(!resources("arn:aws:logs:r:1:log-group:a?b", "arn:aws:logs:r:1:log-group:a:b"));
        assert!(!resources("arn:aws:s3:::a*b", "arn:aws:s3:::a*"));
        assert!(resources("arn:aws:s3:::a*b", "arn:aws:s3:::a*cb"));
        assert!(resources("arn:aws:s3:::*", "arn:aws:s3:::a?b*c"));
    }

    #[test]
    fn a_variable_is_matched_by_itself_and_by_what_matches_everything() {
        let own = "arn:aws:s3:::b/${aws:username}/*";
        assert!(resources(own, own));
        assert!(resources(own, "arn:aws:s3:::b/${aws:username}/x"));
        assert!(resources("arn:aws:s3:::b/*", own));
        for other in ["arn:aws:s3:::b/alice/*", "arn:aws:s3:::b/${aws:userid}/*", "arn:aws:s3:::b/*/*"] {
            assert!(!resources(own, other) && !resources(other, own), "{other}");
        }
        assert!(resources("arn:aws:s3:::b/a?c", "arn:aws:s3:::b/a${*}c"), "an escaped star is a character");
        assert!(!resources("arn:aws:s3:::b/a${*}c", "arn:aws:s3:::b/abc"));
    }

    #[test]
    fn patterns_that_others_cover_are_left_out() {
        let globs = ["s3:Get*", "ec2:*", "s3:GetObject", "s3:get*", "ec2:Describe*"];
        let globs = Globs::new(globs.map(|text| Glob::action(text).unwrap()).into()).shortened();
        assert_eq!(serde_json::to_string(&globs).unwrap(), r#"["ec2:*","s3:Get*"]"#);
    }
}
