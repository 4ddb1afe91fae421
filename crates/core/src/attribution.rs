//! `NameTemplate`: names for role sessions that lead from one CloudTrail line back to one agent session.

use std::fmt;
use std::str::FromStr;

use crate::{Alias, Error, Principal, Result, SessionId};

/// The text of a role's session name or source identity, with places to fill in: `{principal}`, `{session}`, `{agent}`
/// and `{account}`.
///
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Principal,
    Session,
    Agent,
    Account,
}

/// Who is behind a role session, as far as is known. The session's id is the one in status and audit records, so that they
/// can be joined.
#[derive(Debug, Clone, Default)]
pub struct Attribution {
    session: Option<SessionId>,
    account: Option<Alias>,
    principal: Option<Principal>,
    agent: Option<String>,
}

impl Attribution {
    /// Nobody in particular.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Which of its accounts.
    #[must_use]
    pub fn account(mut self, account: Alias) -> Self {
        self.account = Some(account);
        self
    }

    /// Whom the session acts for.
    #[must_use]
    pub fn principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Which agent it is, in the host's words.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    fn of(&self, place: Place) -> Option<String> {
        match place {
            Place::Principal => self.principal.as_ref().map(|principal| principal.to_string()),
            Place::Session => self.session.map(|session| session.to_string()),
            Place::Agent => self.agent.clone(),
            Place::Account => self.account.as_ref().map(|account| account.to_string()),
        }
    }
}

impl NameTemplate {
    /// The name, or a failure: never a name that was cut or altered to fit, which might be somebody else's.
    ///
    /// # Errors
    /// `Invalid` when the attribution does not say what the template asks for, or when what comes out is not 2–64 of
    /// `A-Z a-z 0-9 _ + = , . @ -` (STS `AssumeRole`, `RoleSessionName` and `SourceIdentity`).
    pub fn fill(&self, attribution: &Attribution) -> Result<String> {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Place(place) => name.push_str(&attribution.of(*place).ok_or_else(|| unsaid(*place))?),
            }
        }
        if (2..=64).contains(&name.len()) && name.bytes().all(is_allowed) {
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Principal => "principal",
            Self::Session => "session",
            Self::Agent => "agent",
            Self::Account => "account",
        })
    }
}

fn plain(text: &str) -> Result<Part> {
    if text.bytes().all(is_allowed) { Ok(Part::Text(text.to_owned())) } else { Err(malformed()) }
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

#[cfg(test)]
mod tests {
    use super::*;

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
