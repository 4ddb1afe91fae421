//! `NameTemplate`: role session names that lead from a CloudTrail line to an agent session.

use std::str::FromStr;

use super::{Attribution, Placeholder};
use crate::{Error, Result};

/// The longest `RoleSessionName` and the longest `SourceIdentity` of STS `AssumeRole`, in characters.
const MAX_SESSION_NAME: usize = 64;
const MAX_SOURCE_IDENTITY: usize = 256;

/// A template for a role session name or source identity, with the placeholders `{principal}`, `{session}`, `{agent}`
/// and `{account}`.
///
/// # Examples
/// ```
/// # use valetkey_core::{Attribution, NameTemplate};
/// # fn demo() -> valetkey_core::Result<()> {
/// let template: NameTemplate = "vk-{principal}-{account}".parse()?;
/// let name = template.render(&Attribution::new().account("prod".parse()?).principal("alice".parse()?))?;
/// assert_eq!(name, "vk-alice-prod");
/// # Ok(())
/// # }
/// # demo().unwrap();
/// ```
///
/// The text between placeholders may hold only characters that AWS accepts in a name, which is checked when the
/// template is parsed; the values are checked when it is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate(Vec<Segment>);

/// A part of a template. Empty literals are removed, so that equal templates compare equal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Placeholder(Placeholder),
}

/// `valetkey-{session}`: valid for every session, and unique to it.
impl Default for NameTemplate {
    fn default() -> Self {
        Self(vec![Segment::Literal("valetkey-".to_owned()), Segment::Placeholder(Placeholder::Session)])
    }
}

impl NameTemplate {
    /// Returns the name for an attribution. A name that does not fit is an error: cut or altered, it could equal the
    /// name of a different session.
    ///
    /// # Errors
    /// `Invalid` when the attribution has no value for a placeholder, or when the name is not 2–64 of
    /// `A-Z a-z 0-9 _ + = , . @ -` (STS `AssumeRole`, `RoleSessionName`).
    ///
    /// # Examples
    /// ```
    /// # use valetkey_core::{Attribution, NameTemplate};
    /// let template: NameTemplate = "{agent}".parse()?;
    /// assert_eq!(template.render(&Attribution::new().agent("doctor"))?, "doctor");
    /// let error = template.render(&Attribution::new()).unwrap_err();
    /// assert_eq!(error.field(), Some("session_name"));
    /// # Ok::<_, valetkey_core::Error>(())
    /// ```
    pub fn render(&self, attribution: &Attribution) -> Result<String> {
        self.render_up_to(MAX_SESSION_NAME, attribution)
    }

    /// Renders a source identity, which may be longer than the name of a role session.
    ///
    /// # Errors
    /// As [`render`](Self::render), with 2–256 characters (STS `AssumeRole`, `SourceIdentity`).
    pub fn render_source_identity(&self, attribution: &Attribution) -> Result<String> {
        self.render_up_to(MAX_SOURCE_IDENTITY, attribution)
            .map_err(|error| error.with_field("source_identity"))
    }

    fn render_up_to(&self, max: usize, attribution: &Attribution) -> Result<String> {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Segment::Literal(text) => name.push_str(text),
                Segment::Placeholder(place) => {
                    name.push_str(&attribution.value(*place).ok_or_else(|| missing_value_error(*place))?)
                }
            }
        }
        if is_name(&name, max) {
            return Ok(name);
        }
        let rule = format!("must come out as 2 to {max} of `A-Z a-z 0-9 _ + = , . @ -`");
        Err(Error::invalid("session_name", rule)
            .with_next_step("shorten the template, or leave out what holds other characters"))
    }
}

/// Parses a template. There is no escape for braces, which AWS does not accept in a name.
///
/// # Examples
/// ```
/// # use valetkey_core::NameTemplate;
/// assert!("agent-{session}".parse::<NameTemplate>().is_ok());
/// assert!("agent {user}".parse::<NameTemplate>().is_err());
/// ```
impl FromStr for NameTemplate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, remaining) = after.split_once('}').ok_or_else(malformed_template_error)?;
            segments.push(parse_literal(before)?);
            segments.push(Segment::Placeholder(placeholder.parse()?));
            rest = remaining;
        }
        segments.push(parse_literal(rest)?);
        segments.retain(|part| *part != Segment::Literal(String::new()));
        Ok(Self(segments))
    }
}

fn parse_literal(text: &str) -> Result<Segment> {
    if text.bytes().all(is_allowed) {
        Ok(Segment::Literal(text.to_owned()))
    } else {
        Err(malformed_template_error())
    }
}

/// Returns whether STS accepts the name (`AssumeRole`, `RoleSessionName` and `SourceIdentity`).
pub(crate) fn is_session_name(name: &str) -> bool {
    is_name(name, MAX_SESSION_NAME)
}

fn is_name(name: &str, max: usize) -> bool {
    (2..=max).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

fn malformed_template_error() -> Error {
    Error::invalid(
        "session_name",
        "must be made of `A-Z a-z 0-9 _ + = , . @ -` and the places `{principal}`, `{session}`, `{agent}`, `{account}`",
    )
}

fn missing_value_error(place: Placeholder) -> Error {
    Error::invalid("session_name", format!("contains `{{{place}}}`, which this session does not have"))
        .with_next_step(format!("give the session its {place}, or leave it out of the template"))
}

impl FromStr for Placeholder {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "principal" => Ok(Self::Principal),
            "session" => Ok(Self::Session),
            "agent" => Ok(Self::Agent),
            "account" => Ok(Self::Account),
            _ => Err(malformed_template_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionId;

    fn render_template(template: &str) -> Result<String> {
        let attribution = Attribution::new().session(SessionId::random()).account("prod".parse()?);
        template.parse::<NameTemplate>()?.render(&attribution.principal("team/alice".parse()?))
    }

    #[test]
    fn name_template_renders_each_placeholder() {
        let session = SessionId::random();
        let attribution = Attribution::new()
            .session(session)
            .account("prod".parse().unwrap())
            .principal("alice".parse().unwrap())
            .agent("doctor");
        for (template, name) in [
            ("plain", "plain".to_owned()),
            ("{account}", "prod".to_owned()),
            ("vk-{principal}.{agent}", "vk-alice.doctor".to_owned()),
            ("{session}", session.to_string()),
            ("{principal}{account}-x", "aliceprod-x".to_owned()),
        ] {
            let parsed: NameTemplate = template.parse().unwrap();
            assert_eq!(parsed.render(&attribution).unwrap(), name, "{template}");
        }
    }

    #[test]
    fn name_template_default_is_session_id() {
        let session = SessionId::random();
        let name = Attribution::new().session(session).session_name().unwrap();
        assert_eq!(name, format!("valetkey-{session}"));
        assert_eq!(Attribution::new().session_name().unwrap_err().field(), Some("session_name"));
    }

    #[test]
    fn attribution_tags_hold_given_values_unaltered() {
        assert!(Attribution::new().tags().is_empty());
        let session = SessionId::random();
        let attribution = Attribution::new().session(session).principal("team/alice,bob".parse().unwrap());
        let expected =
            [("valetkey:principal", "team/alice,bob".to_owned()), ("valetkey:session", session.to_string())];
        assert_eq!(attribution.tags(), expected, "as they are, whether they fit or not");
    }

    #[test]
    fn name_template_missing_or_invalid_value_fails() {
        let long = "x".repeat(65);
        for template in ["{agent}", "{principal}", "x", long.as_str(), "{session}{session}"] {
            let error = render_template(template).unwrap_err();
            assert_eq!(
                (error.kind(), error.field()),
                (crate::ErrorKind::Invalid, Some("session_name")),
                "{template}"
            );
        }
    }

    #[test]
    fn name_template_malformed_is_refused_without_echo() {
        for template in
            ["{", "}", "{}", "{user}", "{ session }", "a b", "{session", "ä", "{{session}}", "a/b"]
        {
            let error = template.parse::<NameTemplate>().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{template}");
            assert!(!error.to_string().contains("user"));
        }
    }
}
