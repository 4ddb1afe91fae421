//! `${VAR}`, `${VAR:-default}` and `${env:VAR}`, asked for when the file is read; `${session:…}`, when a child starts.
//!
//! A text is put together once, at the start of a child, from what stands in the file. What a variable holds is never
//! looked through for references: it may hold anything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use valetkey_core::{Error, Result};

/// Answers for the variables that a configuration file names. The lookup is handed in, so that reading a file reads
/// nothing else.
#[derive(Clone)]
pub struct Variables(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What the references of one server's texts stood for when the file was read.
#[derive(Clone, Default)]
pub(crate) struct Answers(BTreeMap<String, String>);

impl Variables {
    /// Answers from `lookup`.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// Notes what the references in `text` stand for, but for those to the session.
    ///
    /// # Errors
    /// `Invalid`, naming `field` and the variable, when one is not set and has no default, or a brace is not closed.
    pub(super) fn answer(&self, field: &str, text: &str, answers: &mut Answers) -> Result<()> {
        fill(field, text, |reference| {
            if !reference.starts_with(SESSION) {
                answers.0.insert(reference.to_owned(), self.look_up(field, reference)?);
            }
            Ok(String::new())
        })?;
        Ok(())
    }

    fn look_up(&self, field: &str, reference: &str) -> Result<String> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let name = name.strip_prefix("env:").unwrap_or(name);
        let value = (self.0)(name).filter(|value| !value.is_empty());
        value.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            let unset = format!("needs the environment variable `{name}`, which is not set");
            Error::invalid(field.to_owned(), unset)
                .with_next_step(format!("set it, or write `${{{name}:-default}}`"))
        })
    }
}

const SESSION: &str = "session:";

impl Answers {
    /// `text` with every reference replaced; `fact` answers for what comes after `session:`.
    ///
    /// # Errors
    /// `Invalid`, naming `field`, for a fact that a session does not have.
    pub(crate) fn fill(
        &self,
        field: &str,
        text: &str,
        fact: impl Fn(&str) -> Option<String>,
    ) -> Result<String> {
        fill(field, text, |reference| {
            let known = match reference.strip_prefix(SESSION) {
                Some(name) => fact(name),
                None => self.0.get(reference).cloned(),
            };
            known.ok_or_else(|| {
                Error::invalid(field.to_owned(), "names a session variable that this session does not have")
                    .with_next_step("use `${session:id}`, or `${session:region}` in a session with a region")
            })
        })
    }
}

fn fill(field: &str, text: &str, mut value: impl FnMut(&str) -> Result<String>) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((reference, tail)) = after.split_once('}') else {
            return Err(Error::invalid(field.to_owned(), "has a `${` without its `}`"));
        };
        filled.push_str(before);
        filled.push_str(&value(reference)?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").finish_non_exhaustive()
    }
}

/// References only: values may be secret.
impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
