//! Who is behind what is asked of STS, and how STS is told: by names and by session tags.

use valetkey_core::{Attribution, Error, NameTemplate, Result, SessionId};

use super::request::{SessionTags, is_valid_tag_value};

/// A name that was said, or is made of who is behind the session.
#[derive(Clone)]
pub(crate) enum NameSource {
    Literal(String),
    Template(NameTemplate),
}

/// How a template becomes a text.
type Fill = fn(&NameTemplate, &Attribution) -> Result<String>;

/// What a builder was told.
#[derive(Clone, Default)]
pub(crate) struct RequestAttribution {
    pub(crate) who: Option<Attribution>,
    pub(crate) tags_disabled: bool,
    pub(crate) session_name: Option<NameSource>,
    pub(crate) source_identity: Option<NameSource>,
}

impl RequestAttribution {
    pub(crate) fn session_name(&self) -> Result<String> {
        match (&self.session_name, &self.who) {
            (Some(name), _) => self.render(name, NameTemplate::render),
            (None, Some(who)) => who.session_name(),
            (None, None) => Ok(DEFAULT_SESSION_NAME.to_owned()),
        }
    }

    pub(crate) fn source_identity(&self) -> Result<Option<String>> {
        let fill = NameTemplate::render_source_identity;
        self.source_identity.as_ref().map(|name| self.render(name, fill)).transpose()
    }

    /// The name of a federated user, which may have 32 characters at most: the session's id without hyphens.
    pub(crate) fn user_name(&self) -> String {
        let session = self.who.as_ref().and_then(Attribution::session_id);
        session.map_or_else(|| DEFAULT_SESSION_NAME.to_owned(), SessionId::compact)
    }

    /// Adds who is behind the session to its tags.
    pub(crate) fn tag(&self, tags: &mut SessionTags) -> Result<()> {
        for (key, value) in self.who.iter().filter(|_| !self.tags_disabled).flat_map(Attribution::tags) {
            if !is_valid_tag_value(&value) {
                return Err(invalid_tag(key));
            }
            tags.add(key, value);
        }
        Ok(())
    }

    fn render(&self, name: &NameSource, fill: Fill) -> Result<String> {
        match name {
            NameSource::Literal(name) => Ok(name.clone()),
            NameSource::Template(template) => fill(template, &self.who.clone().unwrap_or_default()),
        }
    }
}

/// What a session is called that nobody named.
pub(crate) const DEFAULT_SESSION_NAME: &str = "valetkey";

/// A tag that was cut or altered to fit might be somebody else's.
fn invalid_tag(key: &str) -> Error {
    let rule = format!(
        "has a value for the tag `{key}` that AWS does not take: up to 256 letters, digits, spaces and `_ . : / = + - @`"
    );
    Error::invalid("attribution", rule)
        .with_next_step("say who it is in other characters, or turn the tags off")
}
