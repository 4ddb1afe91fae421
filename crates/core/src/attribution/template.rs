//! `NameTemplate`: role session names that lead from a CloudTrail line to an agent session.

use std::str::FromStr;

use super::{Attribution, Place};
use crate::{Error, Result};

/// A template for a role session name or source identity, with the placeholders `{principal}`, `{session}`, `{agent}`
/// and `{account}`.
///
/// # Examples
/// ```
/// # use valetkey_core::{Attribution, NameTemplate};
/// # fn demo() -> valetkey_core::Result<()> {
/// let template: NameTemplate = "vk-{principal}-{account}".parse()?;
/// let name = template.fill(&Attribution::new().account("prod".parse()?).principal("alice".parse()?))?;
/// assert_eq!(name, "vk-alice-prod");
/// # Ok(())
/// # }
/// # demo().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// `valetkey-{session}`: valid for every session, and unique to it.
impl Default for NameTemplate {
    fn default() -> Self {
        Self(vec![Part::Text("valetkey-".to_owned()), Part::Place(Place::Session)])
    }
}

impl NameTemplate {
    /// Returns the name for an attribution. A name that does not fit is an error: cut or altered, it could equal the
    /// name of a different session.
    ///
    /// # Errors
    /// `Invalid` when the attribution has no value for a placeholder, or when the name is not 2–64 of
    /// `A-Z a-z 0-9 _ + = , . @ -` (STS `AssumeRole`, `RoleSessionName` and `SourceIdentity`).
    pub fn fill(&self, attribution: &Attribution) -> Result<String> {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Place(place) => name.push_str(&attribution.told(*place).ok_or_else(|| unsaid(*place))?),
            }
        }
        if is_session_name(&name) {
            return Ok(name);
        }
        Err(Error::invalid("session_name", "must come out as 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`")
            .with_next_step("shorten the template, or leave out what holds other characters"))
    }
}

impl FromStr for NameTemplate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, behind) = after.split_once('}').ok_or_else(malformed)?;
            parts.push(plain(before)?);
            parts.push(Part::Place(place.parse()?));
            rest = behind;
        }
        parts.push(plain(rest)?);
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self(parts))
    }
}

fn plain(text: &str) -> Result<Part> {
    if text.bytes().all(is_allowed) { Ok(Part::Text(text.to_owned())) } else { Err(malformed()) }
}

/// Returns whether STS accepts the name (`AssumeRole`, `RoleSessionName` and `SourceIdentity`).
pub(crate) fn is_session_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

fn malformed() -> Error {
    Error::invalid(
        "session_name",
        "must be made of `A-Z a-z 0-9 _ + = , . @ -` and the places `{principal}`, `{session}`, `{agent}`, `{account}`",
    )
}

fn unsaid(place: Place) -> Error {
    Error::invalid("session_name", format!("asks for `{{{place}}}`, which this session does not say"))
        .with_next_step(format!("give the session its {place}, or leave it out of the template"))
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "principal" => Ok(Self::Principal),
            "session" => Ok(Self::Session),
            "agent" => Ok(Self::Agent),
            "account" => Ok(Self::Account),
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionId;

    fn filled(template: &str) -> Result<String> {
        let attribution = Attribution::new().session(SessionId::random()).account("prod".parse()?);
        template.parse::<NameTemplate>()?.fill(&attribution.principal("team/alice".parse()?))
    }

    #[test]
    fn each_place_is_filled_with_what_the_session_says() {
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
            assert_eq!(parsed.fill(&attribution).unwrap(), name, "{template}");
        }
    }

    #[test]
    fn by_default_a_name_is_the_sessions_id_which_every_session_has() {
        let session = SessionId::random();
        let name = Attribution::new().session(session).session_name().unwrap();
        assert_eq!(name, format!("valetkey-{session}"));
        assert_eq!(Attribution::new().session_name().unwrap_err().field(), Some("session_name"));
    }

    #[test]
    fn what_is_known_is_told_in_tags_and_nothing_else() {
        assert!(Attribution::new().tags().is_empty());
        let session = SessionId::random();
        let who = Attribution::new().session(session).principal("team/alice,bob".parse().unwrap());
        let told =
            [("valetkey:principal", "team/alice,bob".to_owned()), ("valetkey:session", session.to_string())];
        assert_eq!(who.tags(), told, "as they are, whether they fit or not");
    }

    #[test]
    fn what_does_not_fit_or_is_not_said_fails_and_is_neither_cut_nor_replaced() {
        let long = "x".repeat(65);
        for template in ["{agent}", "{principal}", "x", long.as_str(), "{session}{session}"] {
            let error = filled(template).unwrap_err();
            assert_eq!(
                (error.kind(), error.field()),
                (crate::ErrorKind::Invalid, Some("session_name")),
                "{template}"
            );
        }
    }

    #[test]
    fn a_malformed_template_is_refused_and_not_echoed() {
        for template in
            ["{", "}", "{}", "{user}", "{ session }", "a b", "{session", "ä", "{{session}}", "a/b"]
        {
            let error = template.parse::<NameTemplate>().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{template}");
            assert!(!error.to_string().contains("user"));
        }
    }
}
