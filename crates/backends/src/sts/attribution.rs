//! Attribution of a request to a session: the names and the session tags that STS records.

use valetkey_core::{Attribution, Error, NameTemplate, Result, SessionId};

use super::request::{SessionTags, is_valid_tag_value};

/// The name of a session to which nothing is attributed.
pub(crate) const DEFAULT_SESSION_NAME: &str = "valetkey";

/// A name, literally or as a template for the attribution.
#[derive(Clone)]
pub(crate) enum NameSource {
    Literal(String),
    Template(NameTemplate),
}

/// Renders a template.
type Render = fn(&NameTemplate, &Attribution) -> Result<String>;

/// The names and the attribution in the description of a provider.
#[derive(Clone, Default)]
pub(crate) struct RequestAttribution {
    pub(crate) attribution: Option<Attribution>,
    pub(crate) tags_disabled: bool,
    pub(crate) session_name: Option<NameSource>,
    pub(crate) source_identity: Option<NameSource>,
}

impl RequestAttribution {
    pub(crate) fn session_name(&self) -> Result<String> {
        match (&self.session_name, &self.attribution) {
            (Some(name), _) => self.render(name, NameTemplate::render),
            (None, Some(attribution)) => attribution.session_name(),
            (None, None) => Ok(DEFAULT_SESSION_NAME.to_owned()),
        }
    }

    pub(crate) fn source_identity(&self) -> Result<Option<String>> {
        let render = NameTemplate::render_source_identity;
        self.source_identity.as_ref().map(|name| self.render(name, render)).transpose()
    }

    /// Returns the name of a federated user, which has at most 32 characters: the session's id without hyphens.
    pub(crate) fn user_name(&self) -> String {
        let session = self.attribution.as_ref().and_then(Attribution::session_id);
        session.map_or_else(|| DEFAULT_SESSION_NAME.to_owned(), SessionId::compact)
    }

    /// Adds the tags of the attribution to `tags`, unless they are disabled.
    ///
    /// A value that AWS does not accept is an error: cut or altered, it might identify another principal.
    pub(crate) fn tag(&self, tags: &mut SessionTags) -> Result<()> {
        let attribution = self.attribution.iter().filter(|_| !self.tags_disabled);
        for (key, value) in attribution.flat_map(Attribution::tags) {
            if !is_valid_tag_value(&value) {
                return Err(invalid_tag(key));
            }
            tags.add(key, value);
        }
        Ok(())
    }

    fn render(&self, name: &NameSource, render: Render) -> Result<String> {
        match name {
            NameSource::Literal(name) => Ok(name.clone()),
            NameSource::Template(template) => render(template, &self.attribution.clone().unwrap_or_default()),
        }
    }
}

fn invalid_tag(key: &str) -> Error {
    let rule = format!(
        "has a value for the tag `{key}` that AWS does not take: up to 256 letters, digits, spaces and `_ . : / = + - @`"
    );
    Error::invalid("attribution", rule).with_next_step("use other characters, or turn the session tags off")
}
