//! `${VAR}`, `${VAR:-default}` and `${env:VAR}`, resolved when the file is read; `${session:…}`, when a child starts.

use std::fmt;
use std::sync::Arc;

use valetkey_core::{Error, Result};

/// Answers for the variables that a configuration file names. The lookup is handed in, so that reading a file reads
/// nothing else.
#[derive(Clone)]
pub struct Variables(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Variables {
    /// Answers from `lookup`.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// Replaces every variable in `text`; `${session:…}` stays for [`resolve_session`].
    ///
    /// # Errors
    /// `Invalid`, naming `field` and the variable, when one is not set and has no default, or a brace is not closed.
    pub fn expand(&self, field: &str, text: &str) -> Result<String> {
        replace(field, text, |name| {
            if name.starts_with("session:") {
                return Ok(format!("${{{name}}}"));
            }
            let (name, default) = match name.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (name, None),
            };
            let name = name.strip_prefix("env:").unwrap_or(name);
            let value = (self.0)(name).filter(|value| !value.is_empty());
            value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
                Error::invalid(
                    field.to_owned(),
                    format!("needs the environment variable `{name}`, which is not set"),
                )
                .with_next_step(format!("set it, or write `${{{name}:-default}}`"))
            })
        })
    }
}

/// Replaces `${session:region}` and `${session:id}`; `fact` answers for the part after the colon.
///
/// # Errors
/// `Invalid`, naming `field`, for a fact that a session does not have.
pub fn resolve_session(field: &str, text: &str, fact: impl Fn(&str) -> Option<String>) -> Result<String> {
    replace(field, text, |name| {
        let known = name.strip_prefix("session:").and_then(&fact);
        known.ok_or_else(|| {
            Error::invalid(field.to_owned(), "names a session variable that this session does not have")
                .with_next_step("use `${session:id}`, or `${session:region}` in a session with a region")
        })
    })
}

fn replace(field: &str, text: &str, value: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else {
            return Err(Error::invalid(field.to_owned(), "has a `${` without its `}`"));
        };
        out.push_str(before);
        out.push_str(&value(name)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").finish_non_exhaustive()
    }
}
